//! Reading manifests: files of several documents, lists as kubectl prints them, and what is wrong with one.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use smi_crds::specs::v1alpha4::MatchesError;
use thiserror::Error;
use weft_operator::admission::inject::Refusal;

/// The file name that means standard input.
const STANDARD_INPUT: &str = "-";

/// Where an object stands. Documents and items are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    file: String,
    document: usize,
    /// Of a list.
    item: Option<usize>,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, document {}", self.file, self.document)?;
        self.item.map_or(Ok(()), |item| write!(f, ", item {item}"))
    }
}

/// An object as it is written, and what it calls itself.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    pub(super) spot: Spot,
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) object: Value,
}

/// Why manifests cannot be read.
#[derive(Debug, Error)]
pub(super) enum ManifestError {
    #[error("{file} cannot be read: {source}")]
    File { file: String, source: io::Error },
    #[error("{file}, document {document}: not YAML: {source}")]
    Syntax { file: String, document: usize, source: serde_norway::Error },
    #[error("{0}: not an object of Kubernetes; it needs the fields apiVersion and kind")]
    NoKind(Spot),
    #[error("{spot}: {kind} without a name; write metadata.name")]
    NoName { spot: Spot, kind: String },
    #[error("{about}: {field}: {problem}; `kubectl explain {path}` shows the right form")]
    Field {
        about: Box<About>,
        /// Where in the object.
        field: String,
        problem: String,
        /// The same place as `kubectl explain` has it.
        path: String,
    },
    #[error("{spot}: {source}")]
    Conversion { spot: Spot, source: smi_crds::ConversionError },
    #[error("{about}: {source}")]
    Matches { about: Box<About>, source: MatchesError },
    #[error("{about}: its pods would be refused: {refusal}")]
    Refused { about: Box<About>, refusal: Box<Refusal> },
}

/// The object that an error is about.
#[derive(Debug)]
pub(super) struct About {
    spot: Spot,
    kind: String,
    namespace: String,
    name: String,
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}/{}", self.spot, self.kind, self.namespace, self.name)
    }
}

/// The objects of all `files`, in order. Those that name no namespace are of `namespace`.
///
/// # Errors
/// At the first file or document that cannot be read.
pub(super) fn read(files: &[PathBuf], namespace: &str) -> Result<Vec<Manifest>, ManifestError> {
    let mut manifests = Vec::new();
    for file in files {
        let (name, text) = text(file)?;
        parse(&name, &text, namespace, &mut manifests)?;
    }
    Ok(manifests)
}

fn text(file: &Path) -> Result<(String, String), ManifestError> {
    let (name, read) = if file.as_os_str() == STANDARD_INPUT {
        let mut text = String::new();
        ("standard input".to_owned(), io::stdin().read_to_string(&mut text).map(|_| text))
    } else {
        (file.display().to_string(), std::fs::read_to_string(file))
    };
    match read {
        Ok(text) => Ok((name, text)),
        Err(source) => Err(ManifestError::File { file: name, source }),
    }
}

/// Adds the objects of one file.
pub(super) fn parse(file: &str, text: &str, namespace: &str, to: &mut Vec<Manifest>) -> Result<(), ManifestError> {
    for (index, document) in serde_norway::Deserializer::from_str(text).enumerate() {
        let document_number = index + 1;
        let object = Value::deserialize(document).map_err(|source| ManifestError::Syntax {
            file: file.to_owned(),
            document: document_number,
            source,
        })?;
        let spot = |item| Spot { file: file.to_owned(), document: document_number, item };
        match object {
            // Nothing between two lines of dashes.
            Value::Null => {}
            Value::Object(mut fields) if fields.get("kind").and_then(Value::as_str).is_some_and(is_list) => {
                if let Some(Value::Array(items)) = fields.remove("items") {
                    for (index, item) in items.into_iter().enumerate() {
                        to.push(Manifest::new(spot(Some(index + 1)), item, namespace)?);
                    }
                }
            }
            object => to.push(Manifest::new(spot(None), object, namespace)?),
        }
    }
    Ok(())
}

fn is_list(kind: &str) -> bool {
    kind.ends_with("List")
}

impl Manifest {
    fn new(spot: Spot, object: Value, namespace: &str) -> Result<Self, ManifestError> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let (Some(api_version), Some(kind)) = (text("/apiVersion"), text("/kind")) else {
            return Err(ManifestError::NoKind(spot));
        };
        let Some(name) = text("/metadata/name").filter(|name| !name.is_empty()) else {
            return Err(ManifestError::NoName { spot, kind });
        };
        let namespace = text("/metadata/namespace").unwrap_or_else(|| namespace.to_owned());
        let mut manifest = Self { spot, api_version, kind, namespace, name, object };
        manifest.object["metadata"]["namespace"] = manifest.namespace.clone().into();
        Ok(manifest)
    }

    /// The API group, empty for the core's.
    pub(super) fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// The object in the version in which the API server would store it.
    ///
    /// # Errors
    /// When its own version is not published, or it cannot be converted.
    pub(super) fn stored(mut self) -> Result<Self, ManifestError> {
        let stored = format!("{}/{}", self.group(), smi_crds::STORED);
        let converted = smi_crds::convert(self.object, &stored);
        self.object = converted.map_err(|source| ManifestError::Conversion { spot: self.spot.clone(), source })?;
        self.api_version = stored;
        Ok(self)
    }

    /// The object as a type.
    ///
    /// # Errors
    /// With the field that does not fit.
    pub(super) fn typed<T: DeserializeOwned>(&self) -> Result<T, ManifestError> {
        self.typed_at("", &self.object)
    }

    /// A part of the object, which stands at `parent`, as a type.
    ///
    /// # Errors
    /// With the field that does not fit.
    pub(super) fn typed_at<T: DeserializeOwned>(&self, parent: &str, part: &Value) -> Result<T, ManifestError> {
        serde_path_to_error::deserialize(part).map_err(|error| {
            let path = error.path().to_string();
            let fields: Vec<&str> =
                [parent, &path].into_iter().filter(|part| !part.is_empty() && *part != ".").collect();
            let field = if fields.is_empty() { self.kind.clone() } else { fields.join(".") };
            self.wrong(field, error.into_inner().to_string())
        })
    }

    fn about(&self) -> Box<About> {
        Box::new(About {
            spot: self.spot.clone(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        })
    }

    /// That `field` does not hold what it should.
    pub(super) fn wrong(&self, field: String, problem: String) -> ManifestError {
        let kind = self.kind.to_ascii_lowercase();
        // `kubectl explain` knows no indexes.
        let plain = field.split('.').map(|part| part.split_once('[').map_or(part, |(name, _)| name));
        let path =
            if field == self.kind { kind } else { [&*kind].into_iter().chain(plain).collect::<Vec<_>>().join(".") };
        ManifestError::Field { about: self.about(), field, problem, path }
    }

    /// That one cannot tell which matches it has.
    pub(super) fn without_matches(&self, source: MatchesError) -> ManifestError {
        ManifestError::Matches { about: self.about(), source }
    }

    /// That its pods would be refused.
    pub(super) fn refused(&self, refusal: Refusal) -> ManifestError {
        ManifestError::Refused { about: self.about(), refusal: Box::new(refusal) }
    }
}

#[cfg(test)]
mod tests {
    use smi_crds::split::v1alpha4::TrafficSplit;

    use super::*;

    const SPLIT: &str = "apiVersion: split.smi-spec.io/v1alpha4\nkind: TrafficSplit\nmetadata: {name: web}\n";

    fn read_all(text: &str) -> Result<Vec<Manifest>, ManifestError> {
        let mut manifests = Vec::new();
        parse("web.yaml", text, "shop", &mut manifests).map(|()| manifests)
    }

    #[test]
    fn reads_documents_and_lists() {
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: other}\n";
        let list = r#"{"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b"}}]}"#;
        let all = read_all(&format!("---\n{SPLIT}---\n---\n{service}---\n{list}\n")).unwrap();
        let text: Vec<String> = all
            .iter()
            .map(|found| format!("{}: {} {}/{}", found.spot, found.kind, found.namespace, found.name))
            .collect();
        assert_eq!(
            text,
            [
                "web.yaml, document 1: TrafficSplit shop/web",
                "web.yaml, document 3: Service other/web",
                "web.yaml, document 4, item 1: Pod shop/a",
                "web.yaml, document 4, item 2: Pod shop/b",
            ]
        );
        assert_eq!(all[0].object["metadata"]["namespace"], "shop");
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (name, text, want) in [
            (
                "no YAML",
                format!("{SPLIT}---\na: [\n"),
                "web.yaml, document 2: not YAML: did not find expected node content at line 6 column 1, while parsing a flow node",
            ),
            (
                "no object",
                "just text".to_owned(),
                "web.yaml, document 1: not an object of Kubernetes; it needs the fields apiVersion and kind",
            ),
            (
                "no name",
                "apiVersion: v1\nkind: Pod\n".to_owned(),
                "web.yaml, document 1: Pod without a name; write metadata.name",
            ),
            (
                "wrong field",
                format!(
                    "{SPLIT}spec: {{service: web, backends: [{{service: v1, weight: 1}}, {{service: v2, weight: many}}]}}"
                ),
                "web.yaml, document 1: TrafficSplit shop/web: spec.backends[1].weight: invalid type: string \"many\", \
                 expected u32; `kubectl explain trafficsplit.spec.backends.weight` shows the right form",
            ),
            (
                "missing field",
                format!("{SPLIT}spec: {{service: web}}"),
                "web.yaml, document 1: TrafficSplit shop/web: spec: missing field `backends`; \
                 `kubectl explain trafficsplit.spec` shows the right form",
            ),
            (
                "missing at the top",
                SPLIT.to_owned(),
                "web.yaml, document 1: TrafficSplit shop/web: TrafficSplit: missing field `spec`; \
                 `kubectl explain trafficsplit` shows the right form",
            ),
        ] {
            let typed = read_all(&text).and_then(|all| all.iter().map(Manifest::typed::<TrafficSplit>).collect());
            let typed: Result<Vec<TrafficSplit>, ManifestError> = typed;
            assert_eq!(typed.unwrap_err().to_string(), want, "{name}");
        }
    }

    #[test]
    fn names_a_file_that_is_not_there() {
        let error = read(&["/nonexistent/web.yaml".into()], "shop").unwrap_err();
        assert_eq!(error.to_string(), "/nonexistent/web.yaml cannot be read: No such file or directory (os error 2)");
    }
}
