//! One file for each case in `pass` and `fail`: an object, the version that is asked for, and what comes out.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use smi_crds::convert;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case<T> {
    /// The `apiVersion` that is asked for.
    to: String,
    object: Value,
    #[serde(alias = "error")]
    expected: T,
}

fn cases<T: for<'de> Deserialize<'de>>(folder: &str) -> Vec<(String, Case<T>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversions").join(folder);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(&folder).expect("the folder is there").map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let case = serde_norway::from_str(&fs::read_to_string(&path).unwrap());
            (name.clone(), case.unwrap_or_else(|error| panic!("{name}: {error}")))
        })
        .collect()
}

/// Names of the cases for which `holds` is not true, each with what it says.
fn failures<T>(cases: &[(String, Case<T>)], fails: impl Fn(&Case<T>) -> Option<String>) -> Vec<String> {
    cases.iter().filter_map(|(name, case)| Some(format!("{name}:\n{}", fails(case)?))).collect()
}

#[test]
fn converts_each_golden_file_to_what_it_expects() {
    let cases = cases::<Value>("pass");
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let failures = failures(&cases, |case| match convert(case.object.clone(), &case.to) {
        Ok(converted) if converted == case.expected => None,
        Ok(converted) => Some(format!("  found {converted}\n  want  {}", case.expected)),
        Err(error) => Some(format!("  {error}")),
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn refuses_each_golden_file_with_the_message_it_expects() {
    let cases = cases::<String>("fail");
    assert!(cases.len() >= 30, "{} cases", cases.len());
    let failures = failures(&cases, |case| match convert(case.object.clone(), &case.to) {
        Ok(converted) => Some(format!("  found {converted}")),
        Err(error) if error.to_string() == case.expected => None,
        Err(error) => Some(format!("  found {error}\n  want  {}", case.expected)),
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
