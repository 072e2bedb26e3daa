//! The public surface of the library: everything that a user of the crate can name, a line each, kept as a snapshot.
//!
//! Where a change of the surface is meant, one command writes the new snapshot:
//!
//! ```sh
//! INSTA_UPDATE=always cargo test --test suite architecture::surface
//! ```

use super::source::{Crate, ItemPath, attributes, files_below, is_hidden, name_of};
use quote::ToTokens;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use syn::Visibility;

struct Surface<'a> {
    source: &'a Crate,
    /// The public path of each item that is listed, by where it is defined.
    listed: BTreeMap<(ItemPath, String), String>,
    /// Modules that were walked, by where they are defined.
    walked: BTreeSet<ItemPath>,
    /// Each line behind its path.
    lines: BTreeSet<(String, String)>,
    /// The traits of the types that are listed, by their paths.
    traits: BTreeMap<String, BTreeSet<String>>,
}

/// The lines of the surface, by their paths.
fn surface(source: &Crate) -> Vec<String> {
    let mut surface = Surface {
        source,
        listed: BTreeMap::new(),
        walked: BTreeSet::new(),
        lines: BTreeSet::new(),
        traits: BTreeMap::new(),
    };
    surface.definitions(&[], "cleanloop");
    let walked: Vec<ItemPath> = surface.walked.iter().cloned().collect();
    for module in walked {
        let public = std::iter::once("cleanloop".to_owned()).chain(module.clone()).collect::<Vec<_>>().join("::");
        surface.re_exports(&module, &public);
    }
    surface.implementations();
    let traits_of = |path: &String, line: &str| {
        let is_type = line.starts_with("struct ") || line.starts_with("enum ");
        let traits = surface.traits.get(path).filter(|_| is_type)?;
        Some(format!(", implements {}", traits.iter().cloned().collect::<Vec<_>>().join(", ")))
    };
    surface.lines.iter().map(|(path, line)| line.clone() + &traits_of(path, line).unwrap_or_default()).collect()
}

impl Surface<'_> {
    fn add(&mut self, path: &str, line: String) {
        self.lines.insert((path.to_owned(), line));
    }

    /// The public items of a module and of the public modules in it.
    fn definitions(&mut self, module: &[String], public: &str) {
        if !self.walked.insert(module.to_vec()) {
            return;
        }
        let source = self.source;
        for item in &source.modules[module].items {
            self.item(module, item, public);
        }
        let children = source.modules.iter().filter(|(path, _)| path.split_last().is_some_and(|(_, up)| up == module));
        for (path, _) in children.filter(|(_, child)| child.public) {
            let public = format!("{public}::{}", path[path.len() - 1]);
            self.add(&public, format!("mod {public}"));
            self.definitions(path, &public);
        }
    }

    /// What `pub use` lines give another name, or a name at all.
    fn re_exports(&mut self, module: &[String], public: &str) {
        let source = self.source;
        for import in source.modules[module].imports.iter().filter(|i| i.public) {
            let target = source.resolve(module, &import.path);
            let path = format!("{public}::{}", import.name);
            match target.map(|t| (t.module, t.item)) {
                None => self.add(&path, format!("use {path} = {}", import.path.join("::"))),
                Some((origin, None)) if import.name == "*" => {
                    for item in &source.modules[&origin].items {
                        self.item(&origin, item, public);
                    }
                }
                Some((origin, None)) => {
                    self.add(&path, format!("mod {path}"));
                    self.definitions(&origin, &path);
                }
                Some((origin, Some(name))) => {
                    if let Some(known) = self.listed.get(&(origin.clone(), name.clone())) {
                        let line = format!("use {path} = {known}");
                        self.add(&path, line);
                    } else if let Some(item) =
                        source.modules[&origin].items.iter().find(|item| name_of(item).as_ref() == Some(&name))
                    {
                        self.item(&origin, item, public);
                    }
                }
            }
        }
    }

    /// One item, where it is public in its own module and not hidden.
    fn item(&mut self, module: &[String], item: &syn::Item, public: &str) {
        if is_hidden(attributes(item)) {
            return;
        }
        let Some(name) = name_of(item) else { return };
        let path = format!("{public}::{name}");
        let is_public = |v: &Visibility| matches!(v, Visibility::Public(_));
        let line = match item {
            syn::Item::Fn(i) if is_public(&i.vis) => Some(signature(&i.sig, &path)),
            syn::Item::Const(i) if is_public(&i.vis) => Some(format!("const {path}: {}", plain(&i.ty))),
            syn::Item::Static(i) if is_public(&i.vis) => Some(format!("static {path}: {}", plain(&i.ty))),
            syn::Item::Type(i) if is_public(&i.vis) => {
                Some(format!("type {path}{} = {}", plain(&i.generics), plain(&i.ty)))
            }
            syn::Item::Struct(i) if is_public(&i.vis) => Some(format!("struct {path}{}", plain(&i.generics))),
            syn::Item::Enum(i) if is_public(&i.vis) => Some(format!("enum {path}{}", plain(&i.generics))),
            syn::Item::Trait(i) if is_public(&i.vis) => {
                let above =
                    if i.supertraits.is_empty() { String::new() } else { format!(": {}", plain(&i.supertraits)) };
                Some(format!("trait {path}{}{above}", plain(&i.generics)))
            }
            _ => None,
        };
        let Some(mut line) = line else { return };
        if attributes(item).iter().any(|a| a.path().is_ident("non_exhaustive")) {
            line.push_str(", non-exhaustive");
        }
        self.listed.insert((module.to_vec(), name), path.clone());
        match item {
            syn::Item::Struct(i) => {
                if i.fields.iter().any(|f| !is_public(&f.vis)) {
                    line.push_str(", with private fields");
                }
                self.fields(&i.fields, &path, is_public);
            }
            syn::Item::Enum(i) => {
                for variant in &i.variants {
                    let at = format!("{path}::{}", variant.ident);
                    self.add(&at, format!("variant {at}"));
                    self.fields(&variant.fields, &at, |_| true);
                }
            }
            syn::Item::Trait(i) => self.trait_items(i, &path),
            _ => {}
        }
        self.derives(item, &path);
        self.add(&path, line);
    }

    fn fields(&mut self, fields: &syn::Fields, path: &str, is_public: impl Fn(&Visibility) -> bool) {
        for (k, field) in fields.iter().enumerate().filter(|(_, f)| is_public(&f.vis)) {
            let name = field.ident.as_ref().map_or_else(|| k.to_string(), ToString::to_string);
            let at = format!("{path}.{name}");
            self.add(&at, format!("field {at}: {}", plain(&field.ty)));
        }
    }

    fn trait_items(&mut self, item: &syn::ItemTrait, path: &str) {
        for inner in &item.items {
            match inner {
                syn::TraitItem::Fn(f) => {
                    let at = format!("{path}::{}", f.sig.ident);
                    let kind = if f.default.is_some() { ", provided" } else { "" };
                    self.add(&at, format!("{}{kind}", signature(&f.sig, &at)));
                }
                syn::TraitItem::Type(t) => {
                    let at = format!("{path}::{}", t.ident);
                    self.add(&at, format!("type {at}"));
                }
                syn::TraitItem::Const(c) => {
                    let at = format!("{path}::{}", c.ident);
                    self.add(&at, format!("const {at}: {}", plain(&c.ty)));
                }
                _ => {}
            }
        }
    }

    fn derives(&mut self, item: &syn::Item, path: &str) {
        for attribute in attributes(item).iter().filter(|a| a.path().is_ident("derive")) {
            let traits =
                attribute.parse_args_with(syn::punctuated::Punctuated::<syn::Path, syn::Token![,]>::parse_terminated);
            for name in traits.expect("names of traits").iter().filter_map(|t| t.segments.last()) {
                self.traits.entry(path.to_owned()).or_default().insert(name.ident.to_string());
            }
        }
    }

    /// The methods and traits of the types that are listed.
    fn implementations(&mut self) {
        let source = self.source;
        for (module, content) in &source.modules {
            for item in &content.items {
                let syn::Item::Impl(block) = item else { continue };
                let syn::Type::Path(of) = &*block.self_ty else { continue };
                let written: ItemPath = of.path.segments.iter().map(|s| s.ident.to_string()).collect();
                let Some(target) = source
                    .resolve(module, &written)
                    .or_else(|| Some(super::source::Target { module: module.clone(), item: written.last().cloned() }))
                else {
                    continue;
                };
                let Some(path) = target.item.and_then(|name| self.listed.get(&(target.module, name))).cloned() else {
                    continue;
                };
                self.implementation(block, &path);
            }
        }
    }

    fn implementation(&mut self, block: &syn::ItemImpl, path: &str) {
        if let Some((name, _)) = &block.trait_ {
            // However its path is written.
            let name = plain(&name.segments.last().expect("a name"));
            self.traits.entry(path.to_owned()).or_default().insert(name);
            return;
        }
        for inner in &block.items {
            match inner {
                syn::ImplItem::Fn(f) if matches!(f.vis, Visibility::Public(_)) && !is_hidden(&f.attrs) => {
                    let at = format!("{path}::{}", f.sig.ident);
                    self.add(&at, signature(&f.sig, &at));
                }
                syn::ImplItem::Const(c) if matches!(c.vis, Visibility::Public(_)) => {
                    let at = format!("{path}::{}", c.ident);
                    self.add(&at, format!("const {at}: {}", plain(&c.ty)));
                }
                _ => {}
            }
        }
    }
}

fn signature(of: &syn::Signature, path: &str) -> String {
    let mut of = of.clone();
    // The names of arguments are part of the line, whether they are changed inside is not.
    for input in &mut of.inputs {
        if let syn::FnArg::Typed(argument) = input
            && let syn::Pat::Ident(name) = &mut *argument.pat
        {
            name.mutability = None;
        }
    }
    let name = of.ident.to_string();
    plain(&of).replacen(&format!("fn {name}"), &format!("fn {path}"), 1)
}

/// Tokens as people write them.
fn plain(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string().replace('\n', " ");
    for (from, to) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" ::", "::"),
        (" < ", "<"),
        ("< ", "<"),
        (" <", "<"),
        (" >", ">"),
        (" ,", ","),
        ("& ", "&"),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (" :", ":"),
        ("[ ", "["),
        (" ]", "]"),
        (" ;", ";"),
        ("->(", "-> ("),
        ("->&", "-> &"),
        ("* ", "*"),
        ("=(", "= ("),
        (",(", ", ("),
        (",)", ")"),
        (":(", ": ("),
        (" ..", ".."),
    ] {
        text = text.replace(from, to);
    }
    text
}

#[test]
fn the_public_surface_is_as_agreed() {
    let files = files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    insta::assert_snapshot!(surface(&Crate::new(&files)).join("\n"));
}

#[test]
fn what_a_user_can_name_is_listed_and_nothing_else() {
    let files = [
        ("lib.rs", "pub mod open; #[doc(hidden)] pub mod undocumented; mod hidden; pub use hidden::{Shown, inner}; pub use open::Plain as Other; mod all; pub use all::*;"),
        (
            "open.rs",
            "#[derive(Clone, Debug)] #[non_exhaustive] pub struct Plain { pub a: Vec<u8>, b: u8 }
             pub(crate) struct Own; struct Private; pub(crate) fn own() {}
             impl Plain { pub const SIDE: usize = 2; pub fn of(mut a: &[f32], n: Option<usize>) -> Result<Self, ()> { todo() } fn no() {} }
             impl Own { pub fn not_shown() {} }
             impl From<u8> for Plain { fn from(a: u8) -> Self { todo() } }
             pub enum Kind { One, Two(u8), Three { side: f64 } }
             #[cfg(test)] pub fn for_tests() {}
             #[doc(hidden)] pub fn for_benches() {}",
        ),
        ("undocumented.rs", "pub fn not_promised() {}"),
        ("hidden.rs", "pub struct Shown(pub u8); pub struct NotShown; pub mod inner { pub fn deep<'a>(x: &'a str) -> &'a str { x } }
                       impl Shown { pub fn get(&self) -> u8 { 0 } #[doc(hidden)] pub fn raw(&self) {} }"),
        ("all.rs", "pub trait Does: Send { type Out; fn must(&mut self, f: impl Fn(u8) -> u8); fn can(&self) {} } fn private() {}"),
    ];
    let source = Crate::new(&files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect());
    insta::assert_snapshot!(surface(&source).join("\n"), @r"
    trait cleanloop::Does: Send
    type cleanloop::Does::Out
    fn cleanloop::Does::can(&self), provided
    fn cleanloop::Does::must(&mut self, f: impl Fn(u8) -> u8)
    use cleanloop::Other = cleanloop::open::Plain
    struct cleanloop::Shown
    field cleanloop::Shown.0: u8
    fn cleanloop::Shown::get(&self) -> u8
    mod cleanloop::inner
    fn cleanloop::inner::deep<'a>(x: &'a str) -> &'a str
    mod cleanloop::open
    enum cleanloop::open::Kind
    variant cleanloop::open::Kind::One
    variant cleanloop::open::Kind::Three
    field cleanloop::open::Kind::Three.side: f64
    variant cleanloop::open::Kind::Two
    field cleanloop::open::Kind::Two.0: u8
    struct cleanloop::open::Plain, non-exhaustive, with private fields, implements Clone, Debug, From<u8>
    field cleanloop::open::Plain.a: Vec<u8>
    const cleanloop::open::Plain::SIDE: usize
    fn cleanloop::open::Plain::of(a: &[f32], n: Option<usize>) -> Result<Self, ()>
    ");
}
