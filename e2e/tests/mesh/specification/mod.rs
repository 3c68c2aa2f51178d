//! The examples of SMI's texts, which are in `e2e/spec`: taken as they are, and acting as the text says.

mod accepted;
mod metrics;
mod ports;
mod routes;
mod splits;
mod workflow;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// An example of a text, such as `("traffic-split.v1alpha1", "01-weights")`.
fn example(text: &str, name: &str) -> PathBuf {
    folder().join(text).join(format!("{name}.yaml"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("spec")
}

/// The examples of all texts that are objects, in order. Those that are answers are in folders below.
fn examples() -> Result<Vec<PathBuf>> {
    let mut examples = Vec::new();
    for text in std::fs::read_dir(folder())? {
        for example in std::fs::read_dir(text?.path())? {
            let example = example?.path();
            if example.is_file() {
                examples.push(example);
            }
        }
    }
    examples.sort();
    ensure!(!examples.is_empty(), "there are no examples");
    Ok(examples)
}

/// Name of an example for a person: its folder and file.
fn title(path: &Path) -> String {
    let parts: Vec<_> = path.components().rev().take(2).map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}
