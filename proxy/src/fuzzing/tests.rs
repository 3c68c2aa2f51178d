//! The corpus of `proxy/fuzz`, replayed.

use std::{fs, path::Path};

use super::*;

#[test]
fn holds_for_the_whole_corpus() {
    for (target, run) in [("configuration", configuration as fn(&[u8])), ("detection", detection), ("request", request)]
    {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{} is empty", folder.display());
        for file in files {
            // Shown when the replay fails, and only then.
            println!("{}", file.display());
            run(&fs::read(&file).unwrap());
        }
    }
}
