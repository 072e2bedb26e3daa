//! The pages in a real browser.

use super::html::read;
use crate::support::record::survey;
use cleanloop::report;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name of the Chromium that is installed.
fn chromium() -> &'static str {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success()))
        .expect("this test needs Chromium, which is not installed")
}

fn browse(program: &str, page: &Path, more: &[&str]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(more)
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
#[ignore = "needs Chromium"]
fn a_real_browser_takes_it() {
    let program = chromium();
    let folder = tempfile::tempdir().unwrap();
    // CLEANLOOP_REPORT_SHOTS=DIR keeps the report and pictures of it for people to look at.
    let shots = std::env::var_os("CLEANLOOP_REPORT_SHOTS").map(PathBuf::from);
    let at = shots.clone().unwrap_or_else(|| folder.path().to_path_buf());
    std::fs::create_dir_all(&at).unwrap();
    let record = survey(&at);
    let index = report::rewrite(&record, &at).unwrap();
    let folder_of = index.parent().unwrap();
    // What it finds is left in attributes of the root element. The frame is as wide as a telephone.
    let probe = "<script>addEventListener('load',()=>{const d=document.documentElement.dataset;\
        const images=[...document.querySelectorAll('svg image')];\
        d.loaded=0;let loaded=0;images.forEach(i=>{const p=new Image();p.onload=()=>{if(p.naturalWidth>0)d.loaded=++loaded};\
        p.onerror=()=>d.broken=i.outerHTML.slice(0,80);p.src=i.getAttribute('href')});\
        const b=document.querySelector('[data-blink-before]');if(b){b.click();\
        d.blinked=document.querySelector('[data-blinker] .before').classList.contains('on')}\
        const h=document.querySelector('table.overview thead th');if(h){h.click();\
        d.first=document.querySelector('table.overview tbody th').textContent}\
        const r=document.querySelectorAll('[data-flipbook] input');if(r.length){r[0].click();\
        d.flipped=document.querySelector('[data-flipbook] .frame').classList.contains('on')}\
        const f=document.createElement('iframe');f.style.width='390px';f.style.height='800px';\
        f.onload=()=>{const e=f.contentDocument.documentElement;d.phone=e.scrollWidth<=390?'fits':e.scrollWidth};\
        f.srcdoc='<!doctype html>'+document.documentElement.outerHTML.replace(/<script>addEventListener.*<.script>/s,'');\
        document.body.append(f)})</script></body>";
    let pages = ["index.html", "beam00/index.html", "beam00/round-02.html", "cube/round-00.html"];
    for page in pages {
        let html = read(folder_of.join(page));
        let probed = folder_of.join(page).with_extension("probe.html");
        std::fs::write(&probed, html.replace("</body>", probe)).unwrap();
        let dom = browse(program, &probed, &["--dump-dom", "--virtual-time-budget=4000", "--window-size=1280,900"]);
        let root = &dom[dom.find("<html").unwrap()..];
        let root = &root[..root.find('>').unwrap()];
        assert!(root.contains("data-errors=\"0\""), "{page}: script errors: {root}");
        assert!(!root.contains("data-broken"), "{page}: {root}");
        assert!(root.contains("data-phone=\"fits\""), "{page} is wider than a telephone: {root}");
        let images = html.matches("<image").count();
        assert!(root.contains(&format!("data-loaded=\"{images}\"")), "{page}: {images} images: {root}");
        match page {
            "index.html" => assert!(root.contains("data-first=\"beam00\""), "a click sorts by name: {root}"),
            "beam00/index.html" => assert!(root.contains("data-flipped=\"true\""), "{root}"),
            "beam00/round-02.html" => assert!(root.contains("data-blinked=\"true\""), "{root}"),
            _ => {}
        }
        std::fs::remove_file(probed).unwrap();
        if let Some(shots) = &shots {
            let name = page.replace(['/', '.'], "-");
            for (kind, size) in [("desktop", "1360,4200"), ("phone", "390,6000")] {
                let png = shots.join(format!("{name}-{kind}.png"));
                browse(
                    program,
                    &folder_of.join(page),
                    &[&format!("--screenshot={}", png.display()), &format!("--window-size={size}")],
                );
            }
            let pdf = shots.join(format!("{name}.pdf"));
            browse(
                program,
                &folder_of.join(page),
                &[&format!("--print-to-pdf={}", pdf.display()), "--no-pdf-header-footer"],
            );
        }
    }
}

/// The root element of a page after its probe has looked at it.
fn probed(program: &str, page: &Path, more: &[&str]) -> String {
    let html = read(page);
    let copy = page.with_extension("probe.html");
    let probe = format!("<script id=\"probe\">{}</script></body>", include_str!("probe.js"));
    std::fs::write(&copy, html.replace("</body>", &probe)).unwrap();
    let words = [&["--dump-dom", "--virtual-time-budget=4000", "--window-size=1280,900"][..], more].concat();
    let dom = browse(program, &copy, &words);
    std::fs::remove_file(copy).unwrap();
    let root = &dom[dom.find("<html").unwrap()..];
    root[..root.find('>').unwrap()].to_owned()
}

#[test]
#[ignore = "needs Chromium"]
fn pages_can_be_read_on_every_screen_in_light_and_dark_and_without_a_mouse() {
    let program = chromium();
    let folder = tempfile::tempdir().unwrap();
    let mut record = survey(folder.path());
    // The widest number that was met on a card.
    for metrics in record.datasets.iter_mut().flat_map(|d| &mut d.rounds).filter_map(|r| r.metrics.as_mut()) {
        metrics.minimum = -6.84e-3;
    }
    let index = report::rewrite(&record, folder.path()).unwrap();
    let pages = ["index.html", "beam00/index.html", "beam00/round-02.html", "cube/round-00.html"];
    for page in pages {
        let path = index.parent().unwrap().join(page);
        for scheme in ["--blink-settings=preferredColorScheme=1", "--blink-settings=preferredColorScheme=0"] {
            let root = probed(program, &path, &[scheme]);
            assert!(root.contains("data-contrast=\"enough\""), "{page}, {scheme}: {root}");
            let mut widths: Vec<&str> =
                root.split("data-fits=\"").nth(1).unwrap().split('"').next().unwrap().split(' ').collect();
            widths.sort_by_key(|width| width.len());
            for width in ["360", "800", "1000", "1600"] {
                assert!(widths.contains(&width), "{page} overflows at {width} pixels: {root}");
            }
            for (what, good) in [("names", "all"), ("order", "of the page"), ("focus", "seen")] {
                assert!(root.contains(&format!("data-{what}=\"{good}\"")), "{page}: {what}: {root}");
            }
        }
    }
}
