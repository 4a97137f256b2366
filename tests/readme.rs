//! The README is the program's own word: what it says of exit codes must be so.

use lipflow::error::FailureKind;

#[test]
fn the_readme_lists_every_exit_code() {
    let readme = include_str!("../README.md");
    let rows: Vec<_> = readme
        .lines()
        .skip_while(|line| *line != "| code | meaning |")
        .skip(3)
        .take_while(|line| line.starts_with('|'))
        .collect();
    let expected: Vec<_> = FailureKind::ALL
        .iter()
        .map(|kind| format!("| {} | {} |", kind.exit_code(), kind.reason()))
        .collect();
    assert_eq!(rows, expected);
}
