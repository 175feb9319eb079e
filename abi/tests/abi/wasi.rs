//! WASI under both its names.

use crate::fakes::Bench;
use crate::guest::{Guest, OUT, call};

const ALL: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

fn run(module: &'static str, guest: Guest, body: &str) -> (Bench, Vec<String>) {
    let guest = guest
        .wasi(module)
        .on("proxy_on_request_headers", &format!("{body} (i32.const 0)"));
    let bench = Bench::of(&guest);
    let said = bench.headers();
    (bench, said)
}

#[test]
fn both_outputs_are_logs() {
    use portcullis_abi::LogLevel::{Error, Info};
    for module in ALL {
        // Two vectors: "one", "two\n".
        let guest = Guest::new()
            .data(100, b"onetwo\n")
            .data(200, &[100, 0, 0, 0, 3, 0, 0, 0, 103, 0, 0, 0, 4, 0, 0, 0]);
        let guest = guest.wasi(module).on(
            "proxy_on_request_headers",
            &format!(
                "{} (call $word (i32.const {OUT})) {} {} {} {} (i32.const 0)",
                call("fd_write", &[1, 200, 2, OUT]),
                call("fd_write", &[2, 200, 1, OUT]),
                "(call $number (call $fd_pwrite (i32.const 1) (i32.const 208) (i32.const 1) (i64.const 99) (i32.const 16)))",
                call("fd_write", &[3, 200, 1, OUT]),
                call("fd_write", &[1, 200, 0xffff_ffff, OUT]),
            ),
        );
        let bench = Bench::of(&guest);
        bench.host.said();
        bench.vm.on_request_headers(bench.context, 1, true).unwrap();
        let lines = std::mem::take(&mut *bench.host.lines.lock());
        let lines: Vec<_> = lines
            .iter()
            .map(|(level, line)| (*level, line.as_str()))
            .collect();
        assert_eq!(
            lines,
            [
                (Info, "onetwo"),
                (Info, "0"),
                (Info, "7"),
                (Error, "one"),
                (Info, "0"),
                (Info, "two"),
                (Info, "0"),
                (Info, "8"),
                (Info, "21")
            ]
        );
    }
}

#[test]
fn the_environment_is_the_plugins_own() {
    let body = format!(
        "{} (call $word (i32.const {OUT})) (call $word (i32.const {}))
         {} (call $text (i32.load (i32.const 32)) (i32.const 9)) {} (call $word (i32.const {OUT})) {}",
        call("environ_sizes_get", &[OUT, OUT + 4]),
        OUT + 4,
        call("environ_get", &[32, 300]),
        call("args_sizes_get", &[OUT, OUT + 4]),
        call("args_get", &[32, 300]),
    );
    for module in ALL {
        assert_eq!(
            run(module, Guest::new(), &body).1,
            ["0", "1", "10", "0", "KEY=value", "0", "0", "0"]
        );
    }
}

#[test]
fn clocks_and_randomness_are_real() {
    let time = |id| {
        format!(
            "(call $number (call $clock_time_get (i32.const {id}) (i64.const 1) (i32.const 16)))
             (call $number (i64.ne (i64.load (i32.const 16)) (i64.const 0)))"
        )
    };
    let body = time(0)
        + &time(1)
        + "(call $number (call $clock_time_get (i32.const 2) (i64.const 1) (i32.const 16)))"
        + &call("clock_res_get", &[1, OUT])
        + &call("random_get", &[1000, 64])
        + "(call $number (i64.eq (i64.load (i32.const 1000)) (i64.load (i32.const 1008))))"
        + &call("random_get", &[1000, 65537])
        + &call("random_get", &[0, 0]);
    for module in ALL {
        assert_eq!(
            run(module, Guest::new(), &body).1,
            ["0", "1", "0", "1", "58", "0", "0", "0", "28", "0"]
        );
    }
}

#[test]
fn what_there_is_not_has_its_errno() {
    let cases: &[(&str, &str, &str)] = &[
        ("fd_prestat_get", "(i32.const 3) (i32.const 16)", "8"),
        (
            "fd_prestat_dir_name",
            "(i32.const 3) (i32.const 16) (i32.const 1)",
            "52",
        ),
        ("fd_fdstat_get", "(i32.const 2) (i32.const 16)", "0"),
        ("fd_fdstat_get", "(i32.const 3) (i32.const 16)", "8"),
        ("fd_fdstat_set_flags", "(i32.const 1) (i32.const 0)", "52"),
        ("fd_filestat_get", "(i32.const 1) (i32.const 16)", "8"),
        (
            "fd_advise",
            "(i32.const 1) (i64.const 0) (i64.const 0) (i32.const 0)",
            "0",
        ),
        ("fd_sync", "(i32.const 1)", "0"),
        ("fd_sync", "(i32.const 0)", "8"),
        ("fd_tell", "(i32.const 1) (i32.const 16)", "0"),
        (
            "fd_read",
            "(i32.const 0) (i32.const 16) (i32.const 1) (i32.const 16)",
            "52",
        ),
        (
            "fd_readdir",
            "(i32.const 1) (i32.const 16) (i32.const 1) (i64.const 0) (i32.const 16)",
            "54",
        ),
        (
            "fd_readdir",
            "(i32.const 5) (i32.const 16) (i32.const 1) (i64.const 0) (i32.const 16)",
            "8",
        ),
        ("fd_renumber", "(i32.const 1) (i32.const 2)", "58"),
        (
            "path_filestat_get",
            "(i32.const 3) (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 16)",
            "58",
        ),
        (
            "path_open",
            "(i32.const 3) (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 16)",
            "44",
        ),
        (
            "sock_accept",
            "(i32.const 3) (i32.const 0) (i32.const 16)",
            "58",
        ),
        ("sched_yield", "", "0"),
        (
            "poll_oneoff",
            "(i32.const 200) (i32.const 300) (i32.const 1) (i32.const 16)",
            "0",
        ),
    ];
    let body: String = cases
        .iter()
        .map(|(name, arguments, _)| format!("(call $number (call ${name} {arguments}))"))
        .collect();
    let expected: Vec<&str> = cases.iter().map(|(_, _, errno)| *errno).collect();
    for module in ALL {
        assert_eq!(run(module, Guest::new(), &body).1, expected);
    }
    let quiet =
        "(call $number (call $fd_seek (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 16)))
        (call $number (call $fd_close (i32.const 1)))";
    assert_eq!(
        run(ALL[0], Guest::new(), quiet).1,
        [
            "fd_seek(1) does nothing",
            "0",
            "fd_close(1) does nothing",
            "0"
        ]
    );
}

#[test]
fn poll_answers_that_nothing_happened() {
    let body = format!(
        "(i32.store (i32.const {OUT}) (i32.const 7)) {} (call $word (i32.const {OUT}))",
        call("poll_oneoff", &[200, 300, 1, OUT])
    );
    assert_eq!(run(ALL[0], Guest::new(), &body).1, ["0", "0"]);
}
