//! What is said to the authors of manifests that mean nothing, two things, or not what they seem to. Each in `e2e/bad` has a file
//! beside it with the very words; `UPDATE=1` writes them anew.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use e2e::{
    TestNamespace, eventually,
    harness::{Condition, Manifest, Reply},
    run,
};
use futures::{StreamExt, stream};
use serde_json::Value;

/// Manifests that are tried at the same time.
const AT_ONCE: usize = 8;
/// Time for the operator to say what it thinks of an object, with all others at once.
const LIMIT: Duration = Duration::from_secs(60);
/// For so long nothing more is said when the words are written anew.
const SETTLED: Duration = Duration::from_secs(4);
/// What the words have in place of the test's namespace.
const NAMESPACE: &str = "NAMESPACE";
/// As many as there are to be at least.
const WANTED: usize = 80;

#[test]
fn every_bad_manifest_is_answered_with_the_words_of_its_file() {
    run("bad", async |ns| {
        let paths = manifests()?;
        ensure!(paths.len() >= WANTED, "there are {} manifests", paths.len());
        let update = std::env::var("UPDATE").is_ok_and(|value| value == "1");
        let results = stream::iter(&paths)
            .map(|path| async move { (path, answered(ns, path, update).await) })
            .buffer_unordered(AT_ONCE);
        let (mut refused, mut failures) = (0, Vec::new());
        for (path, result) in results.collect::<Vec<_>>().await {
            match result {
                Ok(words) => refused += usize::from(words.starts_with(REFUSED)),
                Err(error) => failures.push(format!("\n{}: {error:#}", path.display())),
            }
        }
        failures.sort();
        let accepted = paths.len() - refused - failures.len();
        println!("{refused} are refused, {accepted} accepted with a warning or a status, {} wrong", failures.len());
        ensure!(failures.is_empty(), "{}", failures.concat());
        Ok(())
    });
}

/// The manifests in order. No two make the same object, because all are tried in one namespace.
fn manifests() -> Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bad");
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut objects = BTreeSet::new();
    for path in &paths {
        for manifest in Manifest::read(path)? {
            let object = (manifest.kind().to_owned(), manifest.name().to_owned());
            ensure!(objects.insert(object), "{}: {} is in another file, too", path.display(), manifest.describe());
        }
    }
    Ok(paths)
}

const REFUSED: &str = "refused";

/// Submits a manifest, compares what is said about it with its file, and returns it.
async fn answered(ns: &TestNamespace, path: &Path, update: bool) -> Result<String> {
    let mut manifests = Manifest::read(path)?;
    let bad = manifests.pop().context("it is empty")?;
    for manifest in &manifests {
        ns.create_manifest(manifest, false).await?.json::<Value>().with_context(|| manifest.describe())?;
    }
    let file = path.with_extension("txt");
    // What is said at admission depends on what the operator has seen of the objects before.
    if !manifests.is_empty() {
        let heard = async || Ok(heard(&ns.create_manifest(&bad, true).await?).replace(&ns.name, NAMESPACE));
        if update {
            unchanging(Duration::from_secs(2), heard).await?;
        } else {
            let want = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            let want: Vec<&str> = want.lines().take_while(|line| !is_condition(line)).collect();
            eventually(LIMIT, "the answer of its file", async || {
                let words = heard().await?;
                ensure!(words.lines().eq(want.iter().copied()), "it is\n{words}");
                Ok(())
            })
            .await?;
        }
    }
    let reply = ns.create_manifest(&bad, false).await?;
    if update {
        let words = settled(ns, &bad, &reply).await?;
        std::fs::write(&file, &words)?;
        return Ok(words);
    }
    let want = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    // What is said of an object that is taken may come in parts, such as when a Service of the file is seen after it.
    let limit = if reply.status.is_success() { LIMIT } else { Duration::from_millis(200) };
    eventually(limit, "the words of its file", async || {
        let words = said(ns, &bad, &reply).await?;
        ensure!(words == want, "it is\n{words}");
        Ok(words)
    })
    .await
}

/// What is said about a manifest once nothing new is added.
async fn settled(ns: &TestNamespace, bad: &Manifest, reply: &Reply) -> Result<String> {
    let time = if reply.status.is_success() { SETTLED } else { Duration::ZERO };
    unchanging(time, async || said(ns, bad, reply).await).await
}

/// What `look` found once it has found the same for so long.
async fn unchanging(time: Duration, mut look: impl AsyncFnMut() -> Result<String>) -> Result<String> {
    let mut last = (String::new(), Instant::now());
    eventually(LIMIT, "words that stay", async || {
        let words = look().await?;
        if words != last.0 {
            last = (words, Instant::now());
        }
        ensure!(last.1.elapsed() >= time, "it is\n{}", last.0);
        Ok(last.0.clone())
    })
    .await
}

/// What the API server said: the refusal, or that there is none, and the warnings.
fn heard(reply: &Reply) -> String {
    let mut lines = vec!["accepted".to_owned()];
    if !reply.status.is_success() {
        let status = serde_json::from_str::<Value>(&reply.body).ok();
        let message = status.and_then(|status| status["message"].as_str().map(str::to_owned));
        lines = vec![format!("{REFUSED}: {}", reply.status)];
        lines.push(message.unwrap_or_else(|| reply.body.clone()).trim_end().to_owned());
    }
    lines.extend(reply.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines.join("\n")
}

/// Whether a line of a file is about the status, which is written after what is heard.
fn is_condition(line: &str) -> bool {
    let type_ = line.split_once('=').map(|(type_, _)| type_);
    type_.is_some_and(|type_| ["Accepted", "Conflicted", "Programmed", "ResolvedRefs"].contains(&type_))
}

/// What was heard, and the conditions that are not as they should be.
async fn said(ns: &TestNamespace, bad: &Manifest, reply: &Reply) -> Result<String> {
    let mut words = heard(reply);
    if reply.status.is_success() {
        for condition in ns.conditions(bad).await?.iter().filter(|condition| is_news(condition)) {
            let Condition { type_, status, reason, message, .. } = condition;
            words.push_str(&format!("\n{type_}={status} ({reason}): {message}"));
        }
        ensure!(words != "accepted", "nothing is said about it");
    }
    words.push('\n');
    Ok(words.replace(&ns.name, NAMESPACE))
}

/// Whether a condition tells an author more than that all is well. How far the proxies are is not about the manifest.
fn is_news(condition: &Condition) -> bool {
    match condition.type_.as_str() {
        "Programmed" => false,
        "Conflicted" => condition.status != "False",
        type_ => condition.status != "True" || condition.reason != type_,
    }
}
