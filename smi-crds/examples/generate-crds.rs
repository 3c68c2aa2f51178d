//! Writes the CustomResourceDefinitions to `config/crds`, one file for each.

use std::fs;
use std::io::Error;
use std::path::Path;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{ServiceReference, WebhookClientConfig};

const HEADER: &str = "# Generated from the types of smi-crds by `make generate`. Change those, not this file.\n";

fn main() -> Result<(), Error> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/crds");
    fs::create_dir_all(&folder)?;
    // Without caBundle, which the operator writes: applying these files again does not take it away.
    let webhook = WebhookClientConfig {
        service: Some(ServiceReference {
            namespace: "weft-system".to_owned(),
            name: "weft-operator".to_owned(),
            path: Some("/convert".to_owned()),
            port: Some(443),
        }),
        ..WebhookClientConfig::default()
    };
    for definition in smi_crds::definitions(&webhook) {
        let name = definition.metadata.name.as_deref().unwrap_or_default();
        let yaml = serde_norway::to_string(&definition).map_err(Error::other)?;
        fs::write(folder.join(name).with_added_extension("yaml"), format!("{HEADER}{yaml}"))?;
    }
    Ok(())
}
