//! WASI preview 1 for guests without files, sockets or processes.
//!
//! Standard output and error are logs; clocks and randomness are real; the environment is what the plugin was given.
//! Everything else gets an errno that libraries of C, Rust and Go take calmly.

use rustix::time::{ClockId, clock_gettime};

use super::call::{Answer, Call, Stop};
use crate::limits::{LOG_LINE_BYTES_MAX, RANDOM_BYTES_MAX};
use crate::memory;
use crate::wire::types::{LogLevel, Status};

/// Numbers of WASI preview 1 that are answered here.
#[derive(Clone, Copy)]
enum Errno {
    BadFile,
    Fault,
    Invalid,
    NoEntry,
    NotImplemented,
    NotDirectory,
    NotSupported,
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Number(match errno {
            Errno::BadFile => 8,
            Errno::Fault => 21,
            Errno::Invalid => 28,
            Errno::NoEntry => 44,
            Errno::NotImplemented => 52,
            Errno::NotDirectory => 54,
            Errno::NotSupported => 58,
        })
    }
}

/// A bad address in WASI's numbers.
fn fault(_: Status) -> Errno {
    Errno::Fault
}

const STDOUT: u32 = 1;
const STDERR: u32 = 2;

fn is_output(fd: u32) -> bool {
    matches!(fd, STDOUT | STDERR)
}

/// For what does nothing, and well, on the outputs.
fn on_outputs(fd: u32) -> Answer {
    if is_output(fd) {
        Ok(())
    } else {
        Err(Errno::BadFile.into())
    }
}

/// Functions that answer one errno whatever they are given.
macro_rules! refusing {
    ($( $name:ident ( $( $ty:ty ),* ) = $errno:expr; )*) => {
        $(
            #[allow(clippy::too_many_arguments, reason = "WASI's")]
            pub(super) fn $name(_: &mut Call<'_>, $( _: $ty ),*) -> Answer {
                Err($errno.into())
            }
        )*
    };
}

refusing! {
    fd_fdstat_set_flags(u32, u32) = Errno::NotImplemented;
    fd_filestat_get(u32, u32) = Errno::BadFile;
    fd_pread(u32, u32, u32, u64, u32) = Errno::NotImplemented;
    fd_prestat_dir_name(u32, u32, u32) = Errno::NotImplemented;
    fd_prestat_get(u32, u32) = Errno::BadFile; // C libraries ask from 3 on, until this answer
    fd_read(u32, u32, u32, u32) = Errno::NotImplemented;
    path_create_directory(u32, u32, u32) = Errno::NotSupported;
    path_filestat_get(u32, u32, u32, u32, u32) = Errno::NotSupported;
    path_filestat_set_times(u32, u32, u32, u32, u64, u64, u32) = Errno::NotSupported;
    path_link(u32, u32, u32, u32, u32, u32, u32) = Errno::NotSupported;
    path_open(u32, u32, u32, u32, u32, u64, u64, u32, u32) = Errno::NoEntry;
    path_readlink(u32, u32, u32, u32, u32, u32) = Errno::NotSupported;
    path_remove_directory(u32, u32, u32) = Errno::NotSupported;
    path_rename(u32, u32, u32, u32, u32, u32) = Errno::NotSupported;
    path_symlink(u32, u32, u32, u32, u32) = Errno::NotSupported;
    path_unlink_file(u32, u32, u32) = Errno::NotSupported;
    proc_raise(u32) = Errno::NotSupported;
    sock_accept(u32, u32, u32) = Errno::NotSupported;
    sock_recv(u32, u32, u32, u32, u32, u32) = Errno::NotSupported;
    sock_send(u32, u32, u32, u32, u32) = Errno::NotSupported;
    sock_shutdown(u32, u32) = Errno::NotSupported;
}

pub(super) fn args_get(_: &mut Call<'_>, _arguments: u32, _buffer: u32) -> Answer {
    Ok(())
}

pub(super) fn args_sizes_get(call: &mut Call<'_>, count_out: u32, size_out: u32) -> Answer {
    call.write_u32(count_out, 0).map_err(fault)?;
    Ok(call.write_u32(size_out, 0).map_err(fault)?)
}

/// The plugin's `env`, nothing else.
pub(super) fn environ_get(call: &mut Call<'_>, variables: u32, buffer: u32) -> Answer {
    let lines = environment(call);
    let (mut variable, mut line_at) = (variables, buffer);
    for line in lines {
        call.write(line_at, &line).map_err(fault)?;
        call.write_u32(variable, line_at).map_err(fault)?;
        let size = u32::try_from(line.len()).map_err(|_| Errno::Fault)?;
        line_at = line_at.checked_add(size).ok_or(Errno::Fault)?;
        variable = variable.checked_add(4).ok_or(Errno::Fault)?;
    }
    Ok(())
}

pub(super) fn environ_sizes_get(call: &mut Call<'_>, count_out: u32, size_out: u32) -> Answer {
    let lines = environment(call);
    let count = u32::try_from(lines.len()).map_err(|_| Errno::Fault)?;
    let size =
        u32::try_from(lines.iter().map(Vec::len).sum::<usize>()).map_err(|_| Errno::Fault)?;
    call.write_u32(count_out, count).map_err(fault)?;
    Ok(call.write_u32(size_out, size).map_err(fault)?)
}

fn environment(call: &Call<'_>) -> Vec<Vec<u8>> {
    call.state()
        .plugin
        .env
        .iter()
        .map(|(key, value)| format!("{key}={value}\0").into_bytes())
        .collect()
}

fn clock(id: u32) -> Result<ClockId, Errno> {
    match id {
        0 => Ok(ClockId::Realtime),
        1 => Ok(ClockId::Monotonic),
        _ => Err(Errno::NotSupported), // CPU clocks would show other guests
    }
}

pub(super) fn clock_res_get(call: &mut Call<'_>, id: u32, resolution_out: u32) -> Answer {
    clock(id)?;
    Ok(call.write_u64(resolution_out, 1).map_err(fault)?)
}

pub(super) fn clock_time_get(
    call: &mut Call<'_>,
    id: u32,
    _precision: u64,
    time_out: u32,
) -> Answer {
    let now = clock_gettime(clock(id)?);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or_default();
    let time = seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds);
    Ok(call.write_u64(time_out, time).map_err(fault)?)
}

#[allow(clippy::unnecessary_wraps, reason = "the table's shape")]
pub(super) fn fd_advise(
    _: &mut Call<'_>,
    _fd: u32,
    _offset: u64,
    _size: u64,
    _advice: u32,
) -> Answer {
    Ok(())
}

pub(super) fn fd_allocate(_: &mut Call<'_>, fd: u32, _offset: u64, _size: u64) -> Answer {
    on_outputs(fd)
}

#[allow(clippy::unnecessary_wraps, reason = "the table's shape")]
pub(super) fn fd_close(call: &mut Call<'_>, fd: u32) -> Answer {
    call.state_mut().log(
        LogLevel::Debug,
        format!("fd_close({fd}) does nothing").as_bytes(),
    );
    Ok(())
}

pub(super) fn fd_datasync(_: &mut Call<'_>, fd: u32) -> Answer {
    on_outputs(fd)
}

/// For an output: no type, no flags, the one right to write to it.
pub(super) fn fd_fdstat_get(call: &mut Call<'_>, fd: u32, status_out: u32) -> Answer {
    const RIGHT_TO_WRITE: u64 = 1 << 6;
    on_outputs(fd)?;
    let status = call.slot(status_out, 24).map_err(fault)?;
    status.fill(0);
    if let Some(rights) = status.get_mut(8..16) {
        rights.copy_from_slice(&RIGHT_TO_WRITE.to_le_bytes());
    }
    Ok(())
}

pub(super) fn fd_fdstat_set_rights(
    _: &mut Call<'_>,
    fd: u32,
    _base: u64,
    _inheriting: u64,
) -> Answer {
    on_outputs(fd)
}

pub(super) fn fd_filestat_set_size(_: &mut Call<'_>, fd: u32, _size: u64) -> Answer {
    on_outputs(fd)
}

pub(super) fn fd_filestat_set_times(
    _: &mut Call<'_>,
    fd: u32,
    _a: u64,
    _m: u64,
    _flags: u32,
) -> Answer {
    on_outputs(fd)
}

pub(super) fn fd_pwrite(
    call: &mut Call<'_>,
    fd: u32,
    vectors: u32,
    count: u32,
    _offset: u64,
    written_out: u32,
) -> Answer {
    fd_write(call, fd, vectors, count, written_out)
}

pub(super) fn fd_readdir(
    call: &mut Call<'_>,
    fd: u32,
    _buffer: u32,
    _buffer_size: u32,
    _cookie: u64,
    used_out: u32,
) -> Answer {
    on_outputs(fd)?;
    call.write_u32(used_out, 0).map_err(fault)?;
    Err(Errno::NotDirectory.into())
}

pub(super) fn fd_renumber(_: &mut Call<'_>, fd: u32, _to: u32) -> Answer {
    on_outputs(fd)?;
    Err(Errno::NotSupported.into())
}

#[allow(clippy::unnecessary_wraps, reason = "the table's shape")]
pub(super) fn fd_seek(
    call: &mut Call<'_>,
    fd: u32,
    _offset: u64,
    _whence: u32,
    _position_out: u32,
) -> Answer {
    call.state_mut().log(
        LogLevel::Debug,
        format!("fd_seek({fd}) does nothing").as_bytes(),
    );
    Ok(())
}

pub(super) fn fd_sync(_: &mut Call<'_>, fd: u32) -> Answer {
    on_outputs(fd)
}

pub(super) fn fd_tell(call: &mut Call<'_>, fd: u32, position_out: u32) -> Answer {
    on_outputs(fd)?;
    Ok(call.write_u64(position_out, 0).map_err(fault)?)
}

/// Standard output is a line of log at info, standard error one at error; one line feed at the end is cut.
pub(super) fn fd_write(
    call: &mut Call<'_>,
    fd: u32,
    vectors: u32,
    count: u32,
    written_out: u32,
) -> Answer {
    let level = match fd {
        STDOUT => LogLevel::Info,
        STDERR => LogLevel::Error,
        _ => return Err(Errno::BadFile.into()),
    };
    call.read(written_out, 4).map_err(fault)?;
    let (memory, state) = call.parts();
    let table = count.checked_mul(8).ok_or(Errno::Fault)?;
    let table = memory::read(memory, vectors, table).map_err(fault)?;
    let mut line = Vec::new();
    let mut written = 0_u32;
    for vector in table.chunks_exact(8) {
        let (data, size) = (
            memory::read_u32(vector, 0).map_err(fault)?,
            memory::read_u32(vector, 4).map_err(fault)?,
        );
        let data = memory::read(memory, data, size).map_err(fault)?;
        written = written.checked_add(size).ok_or(Errno::Invalid)?;
        // What is beyond the longest line would be cut anyway; vectors may name the same bytes again and again.
        let room = (LOG_LINE_BYTES_MAX + 2).saturating_sub(line.len());
        line.extend_from_slice(data.get(..room).unwrap_or(data));
    }
    state.log(level, line.strip_suffix(b"\n").unwrap_or(&line));
    Ok(call.write_u32(written_out, written).map_err(fault)?)
}

/// No event, and no error: the Go runtime gives up on one.
pub(super) fn poll_oneoff(
    call: &mut Call<'_>,
    _subscriptions: u32,
    _events: u32,
    _count: u32,
    count_out: u32,
) -> Answer {
    Ok(call.write_u32(count_out, 0).map_err(fault)?)
}

/// A VM that exits is of no more use: a trap says so more clearly than the `unreachable` that follows the call.
pub(super) fn proc_exit(call: &mut Call<'_>, code: u32) -> Answer {
    let message = format!("proc_exit({code}): a filter must not exit");
    call.state_mut().log(LogLevel::Error, message.as_bytes());
    Err(Stop::Trap(wasmtime::Error::msg(message)))
}

pub(super) fn random_get(call: &mut Call<'_>, buffer: u32, buffer_size: u32) -> Answer {
    if memory::index(buffer_size) > RANDOM_BYTES_MAX {
        return Err(Errno::Invalid.into());
    }
    rand::fill(call.slot(buffer, buffer_size).map_err(fault)?);
    Ok(())
}

#[allow(clippy::unnecessary_wraps, reason = "the table's shape")]
pub(super) fn sched_yield(_: &mut Call<'_>) -> Answer {
    Ok(())
}
