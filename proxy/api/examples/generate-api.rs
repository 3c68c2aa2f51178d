//! Writes `src/generated/` from `proto/`; `make generate` runs it and CI fails when the result differs.

use std::path::Path;

fn main() -> anyhow::Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let proto = package.join("proto");
    let descriptors = protox::compile([proto.join("weft.proto")], [&proto])?;
    tonic_prost_build::configure().btree_map(".").out_dir(package.join("src/generated")).compile_fds(descriptors)?;
    Ok(())
}
