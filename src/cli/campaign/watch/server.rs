//! The report over HTTP on this machine's loopback address. It answers GET and HEAD for files of the report folder, and
//! nothing else; pages ask whether the report has grown, and load themselves again.

use crate::{Error, Result};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What open pages ask for: a text that changes when the report does.
const STATE: &str = "/state";
/// Longest wait for a browser's words.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest line of a request, bytes.
const LONGEST_LINE: u64 = 8192;
/// In each page: asks for the state every three seconds, and keeps the place on the page when it loads it again.
const RENEWAL: &str = "<script>(()=>{let seen;const look=async()=>{try{const t=await(await fetch('/state')).text();\
    if(seen!==undefined&&t!==seen){location.reload()}seen=t}catch(_){}};look();setInterval(look,3000)})()</script></body>";
/// Until the first round is judged there is no report.
const NOT_YET: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>cleanloop</title>\
    <body><p>The report comes with the first judged round. This page then loads itself again.</p></body></html>";

/// A server in a thread of its own; it ends with the program.
#[derive(Debug)]
pub(super) struct ReportServer {
    port: u16,
}

impl ReportServer {
    /// Serves the report of the campaign in `folder`; `port` 0: any that is free.
    ///
    /// # Errors
    /// The port is taken, or not for this user.
    pub(super) fn start(folder: &Path, port: u16) -> Result<Self> {
        let refused = |reason| {
            Error::bad_input(format!("port {port} cannot be used: {reason}; name another with --serve PORT, or none"))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(refused)?;
        let port = listener.local_addr().map_err(refused)?.port();
        let report = folder.join("report");
        let serve = move || {
            for stream in listener.incoming().flatten() {
                let report = report.clone();
                // A browser that went away is no trouble.
                std::thread::spawn(move || drop(answer(&stream, &report)));
            }
        };
        std::thread::Builder::new().name("report".into()).spawn(serve).map_err(Error::internal)?;
        Ok(Self { port })
    }

    /// Where a browser finds it.
    pub(super) fn address(&self) -> String {
        format!("http://localhost:{}/", self.port)
    }
}

fn answer(stream: &TcpStream, report: &Path) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(std::io::Read::take(stream, LONGEST_LINE * 16)).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut host = String::new();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((_, value)) = line.split_once(':').filter(|(key, _)| key.eq_ignore_ascii_case("host")) {
            host = value.trim().to_owned();
        }
    }
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let reply = if !is_own_name(&host) {
        // A page of another server, whose name was made to point here, must not read the report.
        Reply::text("403 Forbidden", "open this report as http://localhost")
    } else if method != "GET" && method != "HEAD" {
        Reply::text("405 Method Not Allowed", "only GET and HEAD")
    } else {
        of_target(target, report)
    };
    let mut stream = stream;
    let head = format!(
        "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        reply.status,
        reply.kind,
        reply.body.len()
    );
    stream.write_all(head.as_bytes())?;
    if method != "HEAD" {
        stream.write_all(&reply.body)?;
    }
    stream.flush()
}

/// Whether a request named this machine's loopback address, or came through an SSH tunnel from one.
fn is_own_name(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    ["localhost", "127.0.0.1", "[::1]"].contains(&name)
}

struct Reply {
    status: &'static str,
    kind: &'static str,
    body: Vec<u8>,
}

impl Reply {
    fn text(status: &'static str, words: impl Into<String>) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: words.into().into_bytes() }
    }
}

fn of_target(target: &str, report: &Path) -> Reply {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    if path == STATE {
        return Reply::text("200 OK", state(report));
    }
    let Some(file) = inside(report, path) else {
        return Reply::text("404 Not Found", "there is no such page");
    };
    match std::fs::read(&file) {
        Ok(body) if file.extension().is_some_and(|e| e == "html") => {
            Reply { status: "200 OK", kind: HTML, body: renewing(body) }
        }
        Ok(body) => Reply { status: "200 OK", kind: kind_of(&file), body },
        Err(_) if path == "/" => Reply { status: "200 OK", kind: HTML, body: renewing(NOT_YET.into()) },
        Err(_) => Reply::text("404 Not Found", "there is no such page"),
    }
}

const HTML: &str = "text/html; charset=utf-8";

fn kind_of(file: &Path) -> &'static str {
    match file.extension().and_then(|e| e.to_str()) {
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// A page that loads itself again.
fn renewing(page: Vec<u8>) -> Vec<u8> {
    match String::from_utf8(page) {
        Ok(text) => match text.rfind("</body>") {
            Some(end) => format!("{}{RENEWAL}{}", &text[..end], &text[end + "</body>".len()..]).into_bytes(),
            None => text.into_bytes(),
        },
        Err(other) => other.into_bytes(),
    }
}

/// The file below the report that a path of a request means; `None`: it is not below it.
fn inside(report: &Path, path: &str) -> Option<PathBuf> {
    let relative = percent_decoded(path)?;
    let relative = Path::new(relative.trim_start_matches('/'));
    if relative.components().any(|part| !matches!(part, Component::Normal(_))) {
        return None;
    }
    let file = report.join(relative);
    let file = if file.is_dir() { file.join("index.html") } else { file };
    // A link must not lead out of the report.
    let leads_out =
        file.canonicalize().is_ok_and(|real| report.canonicalize().is_ok_and(|root| !real.starts_with(root)));
    (!leads_out).then_some(file)
}

fn percent_decoded(path: &str) -> Option<String> {
    let mut bytes = path.bytes();
    let mut out = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

/// When the summary, which is written last, was last written.
fn state(report: &Path) -> String {
    let written = report.join("summary.json").metadata().and_then(|m| m.modified());
    let since = written.ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.map_or_else(String::new, |since| since.as_nanos().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn get(port: u16, request: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.write_all(format!("{request}\r\nHost: localhost:{port}\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn the_report_is_served_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("record.json"), "secret").unwrap();
        let server = ReportServer::start(folder.path(), 0).unwrap();
        assert!(get(server.port, "GET / HTTP/1.1").contains("first judged round"));

        let report = folder.path().join("report");
        std::fs::create_dir_all(report.join("a b")).unwrap();
        std::fs::write(report.join("index.html"), "<html><body>the page</body></html>").unwrap();
        std::fs::write(report.join("a b/index.html"), "another").unwrap();
        std::os::unix::fs::symlink(folder.path().join("record.json"), report.join("link.json")).unwrap();
        let page = get(server.port, "GET /?x HTTP/1.1");
        assert!(page.starts_with("HTTP/1.1 200 OK") && page.contains("the page<script>"), "{page}");
        assert!(get(server.port, "GET /a%20b/ HTTP/1.1").ends_with("another"));
        assert!(!get(server.port, "HEAD / HTTP/1.1").contains("the page"));
        for path in ["/../record.json", "/%2e%2e/record.json", "/link.json", "/no.html"] {
            let answer = get(server.port, &format!("GET {path} HTTP/1.1"));
            assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        }
        assert!(get(server.port, "POST / HTTP/1.1").starts_with("HTTP/1.1 405"));

        let before = get(server.port, "GET /state HTTP/1.1");
        std::fs::write(report.join("summary.json"), "{}").unwrap();
        assert_ne!(before, get(server.port, "GET /state HTTP/1.1"));
        assert!(ReportServer::start(folder.path(), server.port).unwrap_err().to_string().contains("--serve PORT"));
    }

    #[test]
    fn a_name_that_was_made_to_point_here_is_refused() {
        assert!(is_own_name("localhost:8000") && is_own_name("127.0.0.1:1") && is_own_name("[::1]:80"));
        assert!(!is_own_name("example.org:8000") && !is_own_name(""));
    }
}
