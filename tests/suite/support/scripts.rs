//! Shell scripts in place of programs, or around them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Writes an executable file.
pub(crate) fn script(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
}

/// wsclean, whose second call with the words `with`, and any later one, diverges by a gain that is too high. Beside it
/// is the file `count` with a line for each such call.
pub(crate) fn diverging_wsclean(folder: &Path, with: &str) -> PathBuf {
    let path = folder.join("wsclean-that-goes-wrong");
    let text = format!(
        "#!/bin/bash
count=$(dirname \"$0\")/count
case \" $* \" in *' {with} '*) ;; *) exec wsclean \"$@\" ;; esac
echo again >> \"$count\"
words=()
for word in \"$@\"; do
  if [ \"$word\" = 0.1 ] && [ $(wc -l < \"$count\") -ge 2 ]; then word=2.01; fi
  words+=(\"$word\")
done
exec wsclean \"${{words[@]}}\"
"
    );
    script(&path, &text);
    path
}

/// wsclean, whose calls with the words `with` fail.
pub(crate) fn failing_wsclean(folder: &Path, with: &str) -> PathBuf {
    let path = folder.join("wsclean-that-fails");
    let text = "#!/bin/bash\ncase \" $* \" in *' WITH '*) echo 'no more'; exit 9 ;; esac\nexec wsclean \"$@\"\n";
    script(&path, &text.replace("WITH", with));
    path
}

/// A stand-in for apptainer: keeps a record of its words and of when the program runs, and runs the program itself. The
/// first image waits up to a minute for another to begin: two that may run side by side do, on any machine.
pub(crate) fn apptainer(folder: &Path) -> PathBuf {
    let path = folder.join("apptainer");
    let record = folder.join("record.txt");
    let text = format!(
        "#!/bin/sh\nrecord={}\nlock() {{ flock \"$record\" sh -c 'cat >> \"$0\"' \"$record\"; }}\n\
         [ \"$1\" = exec ] || exit 9\nall=\"$*\"\nshift\n\
         while :; do case \"$1\" in --bind) shift 2;; --*) shift;; *) break;; esac; done\nshift\n\
         echo \"start $all\" | lock\n\
         case \"$all\" in *-dry-run*) ;; *' -name '*) tries=0\n\
         while [ \"$(grep ' -name ' \"$record\" | grep -vc -e -dry-run)\" -lt 2 ] && [ $tries -lt 600 ]; do\n\
         sleep 0.1; tries=$((tries + 1)); done;; esac\n\
         \"$@\"\nstatus=$?\necho \"end $all\" | lock\nexit $status\n",
        record.display()
    );
    script(&path, &text);
    fs::write(record, "").expect("written");
    path
}
