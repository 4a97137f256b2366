//! The modules of a crate and what each refers to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

/// A path within the crate, from its root.
pub type Place = Vec<String>;

#[derive(Default)]
struct Module {
    /// Names that are imported, and what they stand for.
    names: BTreeMap<String, Place>,
    /// Everything that the module's code names, as it is written.
    written: BTreeSet<Place>,
}

pub struct Crate {
    modules: BTreeMap<Place, Module>,
}

impl Crate {
    pub fn read(root: &Path) -> Self {
        let mut own = Self {
            modules: BTreeMap::new(),
        };
        let folder = root.parent().unwrap();
        own.read_file(root, folder, &Place::new());
        own
    }

    pub fn modules(&self) -> usize {
        self.modules.len()
    }

    /// `children` is the folder with the files of the module's own modules.
    fn read_file(&mut self, file: &Path, children: &Path, place: &Place) {
        let text =
            std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        self.read_items(&parsed.items, children, place);
    }

    fn read_items(&mut self, items: &[syn::Item], children: &Path, place: &Place) {
        let mut reader = Reader::default();
        for item in items {
            if let syn::Item::Mod(module) = item {
                if is_of_tests(&module.attrs) {
                    continue;
                }
                let name = module.ident.to_string();
                let mut inner = place.clone();
                inner.push(name.clone());
                match &module.content {
                    Some((_, items)) => self.read_items(items, &children.join(name), &inner),
                    None => {
                        let file = file_of(children, &name);
                        self.read_file(&file, &children.join(name), &inner);
                    }
                }
            } else {
                reader.visit_item(item);
            }
        }
        self.modules.insert(place.clone(), reader.0);
    }

    /// For each module the modules in which what it refers to is defined.
    pub fn references(&self) -> impl Iterator<Item = (&Place, Place)> {
        self.modules.iter().flat_map(move |(from, module)| {
            let written = module.written.iter();
            let resolved = written.filter_map(move |path| self.resolve(from, path, 0));
            resolved.map(move |to| (from, to))
        })
    }

    /// The module that defines what `path` names in `from`; None where that is another crate's or nothing
    /// that a path leads to.
    fn resolve(&self, from: &Place, path: &[String], depth: usize) -> Option<Place> {
        let (first, rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Place::new(),
            "self" => from.clone(),
            "super" => from[..from.len().checked_sub(1)?].to_vec(),
            name => {
                let mut child = from.clone();
                child.push(name.to_owned());
                match self.modules.contains_key(&child) {
                    true => child,
                    false => return self.resolve_name(from, path, depth),
                }
            }
        };
        for (index, name) in rest.iter().enumerate() {
            if name == "super" {
                at.pop()?;
                continue;
            }
            at.push(name.clone());
            if !self.modules.contains_key(&at) {
                at.pop();
                // What the module only passes on is somebody else's.
                return self.resolve_name(&at, &rest[index..], depth).or(Some(at));
            }
        }
        Some(at)
    }

    fn resolve_name(&self, at: &Place, path: &[String], depth: usize) -> Option<Place> {
        let (name, rest) = path.split_first()?;
        let mut stands_for = self.modules.get(at)?.names.get(name)?.clone();
        stands_for.extend_from_slice(rest);
        if depth > 9 {
            return None;
        }
        self.resolve(at, &stands_for, depth + 1)
    }
}

fn file_of(folder: &Path, name: &str) -> PathBuf {
    let beside = folder.join(format!("{name}.rs"));
    match beside.exists() {
        true => beside,
        false => folder.join(name).join("mod.rs"),
    }
}

fn is_of_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_test = |tokens: &TokenStream| tokens.to_string() == "test";
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && matches!(&attribute.meta, syn::Meta::List(list) if is_test(&list.tokens))
    })
}

#[derive(Default)]
struct Reader(Module);

impl Reader {
    fn import(&mut self, tree: &syn::UseTree, before: &Place) {
        let mut path = before.clone();
        match tree {
            syn::UseTree::Path(inner) => {
                path.push(inner.ident.to_string());
                self.import(&inner.tree, &path);
            }
            syn::UseTree::Name(name) => {
                let name = name.ident.to_string();
                if name != "self" {
                    path.push(name);
                }
                self.name(path.last().cloned(), path);
            }
            syn::UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    path.push(rename.ident.to_string());
                }
                self.name(Some(rename.rename.to_string()), path);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, before);
                }
            }
            syn::UseTree::Glob(_) => {
                self.0.written.insert(path);
            }
        }
    }

    fn name(&mut self, name: Option<String>, path: Place) {
        self.0.written.insert(path.clone());
        // `use name` of another crate stands for itself.
        if let Some(name) = name
            && path.len() > 1
        {
            self.0.names.insert(name, path);
        }
    }

    /// Paths in what a macro is given, which nobody has parsed.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let mut path = Place::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.written_in_macro(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                other => {
                    self.written_in_macro(std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.read_tokens(group.stream());
                    }
                }
            }
        }
        self.written_in_macro(path);
    }

    fn written_in_macro(&mut self, path: Place) {
        if path.len() > 1 {
            self.0.written.insert(path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Macro(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !is_of_tests(attributes) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&item.tree, &Place::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let segments = path.segments.iter().map(|s| s.ident.to_string());
            self.0.written.insert(segments.collect());
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.read_tokens(call.tokens.clone());
    }
}
