//! The columns that `kubectl get` shows, for each kind and version.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;

const ACCEPTED: (&str, &str, &str) =
    ("Accepted", r#".status.conditions[?(@.type=="Accepted")].status"#, "Whether the object was read and takes part.");
const PROGRAMMED: (&str, &str, &str) = (
    "Programmed",
    r#".status.conditions[?(@.type=="Programmed")].status"#,
    "Whether the proxies acknowledged the object.",
);

/// The columns of `kind` in `version`, from left to right.
pub(super) fn of(kind: &str, version: &str) -> Vec<CustomResourceColumnDefinition> {
    let own: &[(&str, &str, &str)] = match (kind, version) {
        // Of a path with `[*]` the API server prints the first result only, so services with weights are one column:
        // the list itself.
        ("TrafficSplit", _) => &[
            ("Service", ".spec.service", "The root service whose traffic is split."),
            ("Backends", ".spec.backends", "The backend services with their weights."),
        ],
        ("TrafficTarget", "v1alpha1") => {
            &[("Destination", ".destination.name", "Name of the identity that may be reached.")]
        }
        ("TrafficTarget", _) => {
            &[("Destination", ".spec.destination.name", "Name of the identity that may be reached.")]
        }
        ("IdentityBinding", _) => {
            &[("Service Account", ".spec.schemes.serviceAccount", "The service account among the identities.")]
        }
        ("TCPRoute" | "UDPRoute", "v1alpha4") => {
            &[("Ports", ".spec.matches.ports", "The ports; none means every port.")]
        }
        _ => &[],
    };
    let mut columns: Vec<_> = own.iter().chain([&ACCEPTED, &PROGRAMMED]).map(|column| text(*column)).collect();
    columns.push(CustomResourceColumnDefinition {
        name: "Age".to_owned(),
        type_: "date".to_owned(),
        json_path: ".metadata.creationTimestamp".to_owned(),
        description: Some("Time since the object was created.".to_owned()),
        ..CustomResourceColumnDefinition::default()
    });
    columns
}

fn text((name, json_path, description): (&str, &str, &str)) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        name: name.to_owned(),
        type_: "string".to_owned(),
        json_path: json_path.to_owned(),
        description: Some(description.to_owned()),
        ..CustomResourceColumnDefinition::default()
    }
}
