//! No modules beside each other import each other in a circle: each can be read, and understood, after those
//! that it uses. Code of tests doesn't count.

mod crates;
mod graph;

use std::path::{Path, PathBuf};

use crates::Crate;

/// Being worked on: the circles of these folders are cut next.
const OPEN: [&str; 1] = ["lib.rs: lipsync: "];

fn workspace() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap().to_owned()
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let mut circles = Vec::new();
    for root in [
        "src/lib.rs",
        "plugins/lipsync/src/lib.rs",
        "xtask/src/main.rs",
        "fuzz/src/lib.rs",
    ] {
        let read = Crate::read(&workspace().join(root));
        assert!(read.modules() > 3, "{root} has modules");
        circles.extend(
            graph::circles(&read)
                .into_iter()
                .map(|c| format!("{root}: {c}")),
        );
    }
    circles.retain(|circle| !OPEN.iter().any(|folder| circle.contains(folder)));
    assert!(circles.is_empty(), "\n{}", circles.join("\n"));
}

fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    let folder =
        std::env::temp_dir().join(format!("circles-{}-{}", std::process::id(), files.len()));
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let circles = graph::circles(&Crate::read(&folder.join("lib.rs")));
    std::fs::remove_dir_all(folder).unwrap();
    circles
}

#[test]
fn a_circle_is_seen_through_names_that_are_passed_on() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b; mod c; pub use b::inner::Thing;"),
        (
            "a.rs",
            "use crate::Thing; fn f() { println!(\"{}\", crate::c::G) }",
        ),
        ("b/mod.rs", "pub mod inner;"),
        (
            "b/inner.rs",
            "pub struct Thing; fn g() { super::super::a::f() }",
        ),
        (
            "c.rs",
            "pub const G: u8 = 1; #[cfg(test)] mod tests { use crate::a::f; }",
        ),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("a") && found[0].contains("b::inner"),
        "{found:?}"
    );
}

#[test]
fn modules_in_a_row_are_no_circle() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b; use b::B;"),
        ("a.rs", "pub struct A; mod own; pub use own::Own;"),
        ("a/own.rs", "use super::A; pub struct Own(A);"),
        ("b.rs", "use crate::a::{self, A}; pub struct B(A, a::Own);"),
    ]);
    assert!(found.is_empty(), "{found:?}");
}
