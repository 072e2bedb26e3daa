//! Arguments in, exit code out.

use cleanloop::util::huge_pages::HugePages;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

fn main() -> ExitCode {
    ExitCode::from(cleanloop::cli::main(std::env::args_os()))
}
