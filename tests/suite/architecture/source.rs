//! The modules of a crate as they are written: their items, and which module uses what of which other.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::BTreeMap;
use std::path::Path;

/// Names from the crate's root to a module or an item.
pub(super) type ItemPath = Vec<String>;

/// One module, without its tests.
pub(super) struct Module {
    pub items: Vec<syn::Item>,
    /// Whether it is declared `pub`, and not hidden from the documentation.
    pub public: bool,
    /// The names that its `use` lines bring in, with the paths that they stand for.
    pub imports: Vec<Import>,
}

/// One name of a `use` line.
#[derive(Clone)]
pub(super) struct Import {
    /// `*` for everything.
    pub name: String,
    /// As it is written: it may begin with `crate`, `self`, `super`, a module or another crate.
    pub path: ItemPath,
    pub public: bool,
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    /// The module, or that in which the item is defined.
    pub module: ItemPath,
    /// None where the path names a module.
    pub item: Option<String>,
}

/// All modules of a crate by their paths; that of the crate itself is empty.
pub(super) struct Crate {
    pub modules: BTreeMap<ItemPath, Module>,
}

/// The Rust files below a folder, by their paths from there.
pub(super) fn files_below(folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry")) {
        let (path, name) = (entry.path(), entry.file_name().into_string().expect("a name in UTF-8"));
        if path.is_dir() {
            files.extend(files_below(&path).into_iter().map(|(k, text)| (format!("{name}/{k}"), text)));
        } else if name.ends_with(".rs") {
            files.insert(name, std::fs::read_to_string(&path).expect("text"));
        }
    }
    files
}

impl Crate {
    /// The crate whose root is `lib.rs` among these files.
    pub(super) fn new(files: &BTreeMap<String, String>) -> Self {
        let mut all = Self { modules: BTreeMap::new() };
        let items = syn::parse_file(&files["lib.rs"]).expect("Rust").items;
        all.add(files, Vec::new(), items, true);
        all
    }

    fn add(&mut self, files: &BTreeMap<String, String>, path: ItemPath, items: Vec<syn::Item>, public: bool) {
        let mut module = Module { items: Vec::new(), public, imports: Vec::new() };
        for mut item in items {
            if is_test(attributes(&item)) {
                continue;
            }
            match &mut item {
                syn::Item::Mod(inner) => {
                    let child = joined(&path, &inner.ident.to_string());
                    let items = inner.content.take().map(|(_, items)| items).unwrap_or_else(|| {
                        let name = child.join("/");
                        let text = files.get(&format!("{name}.rs")).or_else(|| files.get(&format!("{name}/mod.rs")));
                        syn::parse_file(text.unwrap_or_else(|| panic!("no file of the module {name}")))
                            .expect("Rust")
                            .items
                    });
                    let public = matches!(inner.vis, syn::Visibility::Public(_)) && !is_hidden(&inner.attrs);
                    self.add(files, child, items, public);
                    continue;
                }
                syn::Item::Use(line) => {
                    let public = matches!(line.vis, syn::Visibility::Public(_)) && !is_hidden(&line.attrs);
                    let leaves = leaves(&line.tree.to_token_stream().into_iter().collect::<Vec<_>>());
                    module.imports.extend(leaves.into_iter().map(|(name, path)| Import { name, path, public }));
                }
                syn::Item::Impl(block) => block.items.retain(|item| !is_test(attributes_of_impl_item(item))),
                _ => {}
            }
            module.items.push(item);
        }
        self.modules.insert(path, module);
    }

    /// Where a path that is written in a module leads; `None` for other crates and for local names.
    pub(super) fn resolve(&self, from: &[String], path: &[String]) -> Option<Target> {
        self.resolve_within(from, path, 8)
    }

    /// `hops` bounds the re-exports that are followed, as two may name each other.
    fn resolve_within(&self, from: &[String], path: &[String], hops: usize) -> Option<Target> {
        let hops = hops.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        let mut module: ItemPath = match first.as_str() {
            "crate" => Vec::new(),
            "self" => from.to_vec(),
            "super" => {
                let up = path.iter().take_while(|name| *name == "super").count();
                let module = &from[..from.len().checked_sub(up)?];
                return self.descend(module.to_vec(), &path[up..], hops);
            }
            child if self.modules.contains_key(&joined(from, child)) => joined(from, child),
            name => {
                let import = self.modules.get(from)?.imports.iter().find(|i| i.name == name && i.path[0] != name)?;
                return self.resolve_within(from, &[&import.path, rest].concat(), hops);
            }
        };
        self.descend(std::mem::take(&mut module), rest, hops)
    }

    fn descend(&self, mut module: ItemPath, path: &[String], hops: usize) -> Option<Target> {
        for (k, name) in path.iter().enumerate() {
            let child = joined(&module, name);
            if self.modules.contains_key(&child) {
                module = child;
                continue;
            }
            if name == "*" || name == "self" {
                return Some(Target { module, item: None });
            }
            let here = self.modules.get(&module)?;
            if !here.items.iter().any(|item| name_of(item).as_ref() == Some(name)) {
                let named = here.imports.iter().find(|i| i.name == *name);
                if let Some(found) =
                    named.map(|i| self.resolve_within(&module, &[&i.path, &path[k + 1..]].concat(), hops))
                {
                    return found;
                }
                let globs = here.imports.iter().filter(|i| i.name == "*");
                let mut found = globs.filter_map(|i| self.resolve_within(&module, &i.path, hops));
                if let Some(origin) = found.find(|t| self.defines(&t.module, name)) {
                    return Some(Target { item: Some(name.clone()), ..origin });
                }
            }
            return Some(Target { module, item: Some(name.clone()) });
        }
        Some(Target { module, item: None })
    }

    fn defines(&self, module: &[String], name: &String) -> bool {
        self.modules.get(module).is_some_and(|m| m.items.iter().any(|item| name_of(item).as_ref() == Some(name)))
    }

    /// Everything of this crate that the code of a module names: in `use` lines, in paths, and inside macros.
    pub(super) fn used_by(&self, module: &[String]) -> Vec<Target> {
        let mut paths = Vec::new();
        for item in &self.modules[module].items {
            scan(item.to_token_stream(), &mut paths);
        }
        let mut targets: Vec<Target> = paths.iter().filter_map(|path| self.resolve(module, path)).collect();
        targets.sort();
        targets.dedup();
        targets
    }
}

fn joined(path: &[String], name: &str) -> ItemPath {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

/// All paths in the tokens, `a::{b, c::d}` as `a::b` and `a::c::d`.
fn scan(tokens: TokenStream, paths: &mut Vec<ItemPath>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut k = 0;
    while k < tokens.len() {
        match &tokens[k] {
            TokenTree::Ident(word) if word == "use" => {
                paths.extend(leaves(&tokens[k + 1..]).into_iter().map(|(_, path)| path));
                while k < tokens.len() && !is_punct(&tokens[k], ';') {
                    k += 1;
                }
            }
            TokenTree::Ident(_) if is_path(&tokens[k + 1..]) => {
                let behind = k >= 2 && is_path(&tokens[k - 2..k]);
                if !behind {
                    paths.extend(leaves(&tokens[k..]).into_iter().map(|(_, path)| path));
                }
                k += 1;
                while is_path(&tokens[k..]) {
                    let is_name = matches!(tokens.get(k + 2), Some(TokenTree::Ident(_)));
                    k += if is_name { 3 } else { 2 };
                    if !is_name {
                        break;
                    }
                }
            }
            TokenTree::Group(group) => {
                scan(group.stream(), paths);
                k += 1;
            }
            _ => k += 1,
        }
    }
}

/// The names that a tree of paths ends in, each with its whole path.
fn leaves(tokens: &[TokenTree]) -> Vec<(String, ItemPath)> {
    match tokens {
        [TokenTree::Ident(word), rest @ ..] if is_path(rest) => match &rest[2..] {
            [TokenTree::Ident(_) | TokenTree::Group(_), ..] | [TokenTree::Punct(_), ..] if !is_punct(&rest[2], '<') => {
                let first = word.to_string();
                let below = leaves(&rest[2..]).into_iter();
                below
                    .map(|(name, path)| {
                        let name = if name == "self" { first.clone() } else { name };
                        (name, [vec![first.clone()], path].concat())
                    })
                    .collect()
            }
            _ => vec![(word.to_string(), vec![word.to_string()])],
        },
        [TokenTree::Ident(word), TokenTree::Ident(keyword), TokenTree::Ident(name), ..] if keyword == "as" => {
            vec![(name.to_string(), vec![word.to_string()])]
        }
        [TokenTree::Ident(word), ..] => vec![(word.to_string(), vec![word.to_string()])],
        [star, ..] if is_punct(star, '*') => vec![("*".into(), vec!["*".into()])],
        [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Brace => {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            inner.split(|token| is_punct(token, ',')).flat_map(leaves).collect()
        }
        _ => Vec::new(),
    }
}

fn is_punct(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(p) if p.as_char() == sign)
}

/// Whether the tokens begin with `::`.
fn is_path(tokens: &[TokenTree]) -> bool {
    tokens.len() >= 2 && is_punct(&tokens[0], ':') && is_punct(&tokens[1], ':')
}

/// The attributes of an item that is not a macro's.
pub(super) fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(i) => &i.attrs,
        syn::Item::Enum(i) => &i.attrs,
        syn::Item::Fn(i) => &i.attrs,
        syn::Item::Impl(i) => &i.attrs,
        syn::Item::Macro(i) => &i.attrs,
        syn::Item::Mod(i) => &i.attrs,
        syn::Item::Static(i) => &i.attrs,
        syn::Item::Struct(i) => &i.attrs,
        syn::Item::Trait(i) => &i.attrs,
        syn::Item::Type(i) => &i.attrs,
        syn::Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

fn attributes_of_impl_item(item: &syn::ImplItem) -> &[syn::Attribute] {
    match item {
        syn::ImplItem::Const(i) => &i.attrs,
        syn::ImplItem::Fn(i) => &i.attrs,
        syn::ImplItem::Type(i) => &i.attrs,
        _ => &[],
    }
}

/// Whether the documentation leaves an item out, which is then no part of what users are promised.
pub(super) fn is_hidden(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|a| a.to_token_stream().to_string().replace(' ', "") == "#[doc(hidden)]")
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|a| a.to_token_stream().to_string().replace(' ', "") == "#[cfg(test)]")
}

/// The name that an item defines.
pub(super) fn name_of(item: &syn::Item) -> Option<String> {
    Some(match item {
        syn::Item::Const(i) => i.ident.to_string(),
        syn::Item::Enum(i) => i.ident.to_string(),
        syn::Item::Fn(i) => i.sig.ident.to_string(),
        syn::Item::Static(i) => i.ident.to_string(),
        syn::Item::Struct(i) => i.ident.to_string(),
        syn::Item::Trait(i) => i.ident.to_string(),
        syn::Item::Type(i) => i.ident.to_string(),
        syn::Item::Macro(i) => i.ident.as_ref()?.to_string(),
        _ => return None,
    })
}
