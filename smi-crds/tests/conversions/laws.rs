//! What holds for every object and every pair of versions.

use proptest::prelude::*;
use serde_json::{Value, json};
use smi_crds::{CONVERSION, convert};

use super::objects::{KINDS, VERSIONS, object, object_and_version};
use super::typed::read;

fn version(object: &Value) -> &str {
    object["apiVersion"].as_str().expect("apiVersion")
}

/// The metadata without Weft's annotation.
fn metadata(object: &Value) -> Value {
    let mut metadata = object["metadata"].clone();
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(CONVERSION);
        if annotations.is_empty() {
            metadata.as_object_mut().expect("an object").remove("annotations");
        }
    }
    metadata
}

/// Drops null members, which the types read as absent.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn there_and_back_is_the_identity((object, to) in object_and_version()) {
        let there = convert(object.clone(), &to).expect("converts");
        prop_assert_eq!(version(&there), &to);
        prop_assert_eq!(metadata(&there), metadata(&object));
        prop_assert_eq!(&there["status"], &object["status"]);
        let back = convert(there, version(&object)).expect("converts back");
        prop_assert_eq!(serde_json::to_string(&back).unwrap(), serde_json::to_string(&object).unwrap());
    }

    #[test]
    fn the_way_does_not_matter((object, by) in object_and_version(), to in 0..VERSIONS.len()) {
        let (group, _) = by.split_once('/').expect("a group");
        let to = format!("{group}/{}", VERSIONS[to]);
        let direct = convert(object.clone(), &to).expect("converts");
        let detour = convert(convert(object, &by).expect("converts"), &to).expect("converts on");
        prop_assert_eq!(detour, direct);
    }

    #[test]
    fn converting_twice_changes_nothing((object, to) in object_and_version()) {
        let once = convert(object, &to).expect("converts");
        prop_assert_eq!(convert(once.clone(), &to).expect("converts again"), once);
    }

    #[test]
    fn the_types_read_whatever_comes_out((object, to) in object_and_version()) {
        let mut converted = convert(object, &to).expect("converts");
        let mut written = read(&converted).expect("is readable");
        without_nulls(&mut converted);
        without_nulls(&mut written);
        prop_assert_eq!(written, converted);
    }

    #[test]
    fn a_hub_object_with_any_annotation_is_readable_in_every_version(
        (mut object, kind) in (0..KINDS.len()).prop_flat_map(|kind| (object(kind, 3), Just(kind))),
        to in 0..3usize,
        text in prop_oneof![
            ".{0,12}",
            Just(r#"{"weights":[1],"matches":7}"#.to_owned()),
            Just(r#"{"headers":[["a0",1]],"place":{"spec":"*"}}"#.to_owned()),
            Just(r#"{"port":0}"#.to_owned()),
            Just(r#"{"groups":{}}"#.to_owned()),
            Just(r#"{"unreadable":1}"#.to_owned()),
            Just("[]".to_owned()),
        ],
    ) {
        object["metadata"]["annotations"] = json!({CONVERSION: text});
        let to = format!("{}/{}", KINDS[kind].1, VERSIONS[to]);
        let there = convert(object.clone(), &to).expect("a stored object never fails");
        let back = convert(there, version(&object)).expect("converts back");
        prop_assert_eq!(&back["spec"], &object["spec"]);
        prop_assert_eq!(metadata(&back), metadata(&object));
    }
}
