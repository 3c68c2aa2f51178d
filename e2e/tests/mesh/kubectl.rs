//! What people do with kubectl, in every version.

use anyhow::{Context, Result, ensure};
use e2e::{TestNamespace, harness::kubectl, run};
use serde_json::Value;

const GROUP: &str = "\
apiVersion: specs.smi-spec.io/v1alpha2
kind: HTTPRouteGroup
metadata: {name: beta}
matches:
- {name: firefox, headers: [{user-agent: '.*Firefox.*'}]}
";

/// A split in `version`, whose text a version before `v1alpha3` has no matches in.
fn split(version: &str, weight: &str) -> String {
    format!(
        "apiVersion: split.smi-spec.io/{version}\nkind: TrafficSplit\nmetadata: {{name: web}}\nspec:\n  service: web\n  \
         backends:\n  - {{service: v1, weight: {weight}}}\n  - {{service: v2, weight: 1}}\n"
    )
}

/// A field of the split, as a JSONPath.
async fn field(ns: &TestNamespace, version: &str, path: &str) -> Result<String> {
    let resource = format!("trafficsplits.{version}.split.smi-spec.io");
    ns.kubectl(&["get", &resource, "web", "-o", &format!("jsonpath={path}")], "").await?.success()
}

#[test]
fn what_was_applied_differs_in_nothing_and_applying_again_changes_nothing() {
    run("kubectl-diff", async |ns| {
        for (version, weight) in [("v1alpha1", "500m"), ("v1alpha2", "3"), ("v1alpha3", "3"), ("v1alpha4", "3")] {
            let manifest = split(version, weight);
            for side in [&[][..], &["--server-side"]] {
                let apply = [&["apply", "-f", "-"], side].concat();
                ns.kubectl(&apply, &manifest).await?.success()?;
                let generation = field(ns, "v1alpha4", "{.metadata.generation}").await?;
                let diff = ns.kubectl(&[&["diff", "-f", "-"], side].concat(), &manifest).await?;
                ensure!(diff.code == 0, "{version} {side:?}: {diff:?}");
                ns.kubectl(&apply, &manifest).await?.success()?;
                let again = field(ns, "v1alpha4", "{.metadata.generation}").await?;
                ensure!(again == generation, "{version} {side:?}: generation {generation} became {again}");
                ns.kubectl(&["delete", "-f", "-"], &manifest).await?.success()?;
            }
        }
        Ok(())
    });
}

#[test]
fn two_field_managers_share_an_object_across_versions() {
    run("kubectl-managers", async |ns| {
        ns.kubectl(&["apply", "-f", "-"], GROUP).await?.success()?;
        let team = ["apply", "--server-side", "--field-manager=team", "-f", "-"];
        let robot = ["apply", "--server-side", "--field-manager=robot", "-f", "-"];
        ns.kubectl(&team, &split("v1alpha4", "1")).await?.success()?;
        // The robot knows an old version and has one label to say.
        let label =
            "apiVersion: split.smi-spec.io/v1alpha1\nkind: TrafficSplit\nmetadata: {name: web, labels: {by: robot}}\n";
        ns.kubectl(&robot, label).await?.success()?;
        let text = field(ns, "v1alpha1", "{.metadata.labels.by} {.spec.backends[0].weight}").await?;
        ensure!(text == "robot 1", "{text}");
        let canary = ["apply", "--server-side", "--field-manager=canary", "-f", "-"];
        let conflict = ns.kubectl(&canary, &split("v1alpha2", "9")).await?;
        ensure!(conflict.code != 0 && conflict.stderr.contains("conflict"), "{conflict:?}");
        ensure!(conflict.stderr.contains("team"), "{conflict:?}");
        let forced = [&canary[..], &["--force-conflicts"]].concat();
        ns.kubectl(&forced, &split("v1alpha2", "9")).await?.success()?;
        ns.kubectl(&robot, &label.replace("robot", "machine")).await?.success()?;
        let text = field(ns, "v1alpha4", "{.metadata.labels.by}").await?;
        ensure!(text == "machine", "{text}");
        // Whoever owns no metadata may go on in another version.
        for version in ["v1alpha1", "v1alpha3", "v1alpha4", "v1alpha2"] {
            ns.kubectl(&canary, &split(version, "9")).await?.success()?;
        }
        let weight = field(ns, "v1alpha4", "{.spec.backends[0].weight}").await?;
        ensure!(weight == "9", "{weight}");
        Ok(())
    });
}

#[test]
fn objects_are_patched_and_edited_in_any_version() {
    run("kubectl-edit", async |ns| {
        ns.kubectl(&["apply", "-f", "-"], &split("v1alpha1", "500m")).await?.success()?;
        for (version, weight) in [("v1alpha1", "\"250m\""), ("v1alpha2", "4"), ("v1alpha3", "5"), ("v1alpha4", "6")] {
            let resource = format!("trafficsplits.{version}.split.smi-spec.io");
            let merge = format!(
                r#"{{"spec":{{"backends":[{{"service":"v1","weight":{weight}}},{{"service":"v2","weight":1}}]}}}}"#
            );
            let json = format!(r#"[{{"op":"replace","path":"/spec/backends/0/weight","value":{weight}}}]"#);
            for (kind, patch) in [("merge", &merge), ("json", &json)] {
                ns.kubectl(&["patch", &resource, "web", "--type", kind, "-p", patch], "").await?.success()?;
                let found = field(ns, version, "{.spec.backends[0].weight}").await?;
                ensure!(found == weight.trim_matches('"'), "{version} {kind}: {found}");
            }
            let edited =
                ns.kubectl_edit(&[&resource, "web"], "sed -i 's/service: v2/service: v3/'").await?.success()?;
            ensure!(edited.contains("edited"), "{version}: {edited}");
            let found = field(ns, version, "{.spec.backends[?(@.service==\"v3\")].weight}").await?;
            ensure!(found == "1", "{version}: {found}");
            ns.kubectl(&["apply", "-f", "-"], &split("v1alpha4", "1")).await?.success()?;
        }
        Ok(())
    });
}

/// Fields of a schema, at any depth, that have no description.
fn undescribed(schema: &Value, path: &str) -> Vec<String> {
    let within = ["items", "additionalProperties"].into_iter().filter_map(|within| schema.get(within));
    let mut found: Vec<String> = within.flat_map(|schema| undescribed(schema, path)).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if field["description"].as_str().unwrap_or_default().is_empty() {
            found.push(path.clone());
        }
        found.extend(undescribed(field, &path));
    }
    found
}

#[test]
fn every_field_of_every_version_is_explained() {
    run("kubectl-explain", async |ns| {
        const ALL: &[&str] = &["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"];
        for (resource, kind, versions) in [
            ("trafficsplits", "TrafficSplit", ALL),
            ("traffictargets", "TrafficTarget", ALL),
            ("httproutegroups", "HTTPRouteGroup", ALL),
            ("tcproutes", "TCPRoute", ALL),
            ("udproutes", "UDPRoute", &["v1alpha4"]),
            ("identitybindings", "IdentityBinding", &["v1alpha4"]),
        ] {
            let group = match resource {
                "trafficsplits" => "split.smi-spec.io",
                "traffictargets" | "identitybindings" => "access.smi-spec.io",
                _ => "specs.smi-spec.io",
            };
            for version in versions {
                let api_version = format!("--api-version={group}/{version}");
                let explained = kubectl(&["explain", resource, "--recursive", &api_version], "").await?.success()?;
                ensure!(explained.contains(&format!("VERSION:    {version}")), "{resource} {version}: {explained}");
                // From here kubectl has the descriptions that it shows field by field.
                let schemas: Value = ns.cluster.get(&format!("/openapi/v3/apis/{group}/{version}")).await?.json()?;
                let is_it = |schema: &&Value| schema["x-kubernetes-group-version-kind"][0]["kind"] == kind;
                let schemas = schemas["components"]["schemas"].as_object().context("no schemas")?;
                let schema = schemas.values().find(is_it).context("no schema")?;
                let undescribed = undescribed(schema, "");
                ensure!(undescribed.is_empty(), "{resource} {version}: {undescribed:?} are not described");
            }
        }
        Ok(())
    });
}

#[test]
fn get_smi_shows_every_kind_by_its_short_names() {
    run("kubectl-get", async |ns| {
        ns.kubectl(&["apply", "-f", "-"], &[GROUP, &split("v1alpha1", "500m")].join("---\n")).await?.success()?;
        let all = ns.kubectl(&["get", "smi", "-o", "name"], "").await?.success()?;
        for name in ["httproutegroup.specs.smi-spec.io/beta", "trafficsplit.split.smi-spec.io/web"] {
            ensure!(all.lines().any(|line| line == name), "no {name}: {all}");
        }
        let table = ns.kubectl(&["get", "ts"], "").await?.success()?;
        ensure!(table.contains("web") && table.contains("v1"), "{table}");
        for short in ["ts", "tt", "htr"] {
            let list = ns.kubectl(&["get", short, "-o", "json"], "").await?.success()?;
            let list: Value = serde_json::from_str(&list)?;
            list["items"].as_array().context(short)?;
        }
        Ok(())
    });
}
