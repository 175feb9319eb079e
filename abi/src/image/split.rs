//! Takes a module apart: code for the compiler, and the beginning of its memory for an [image](super).
//!
//! The compiled module has no data and does not run its start function, so it can be instantiated over any image: its
//! own, or a snapshot. The start function and the mutable globals are exported for the host. Everything but the three
//! sections for that stays as it is, byte for byte: debug information names places in the code section.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use wasmparser::{DataKind, Operator, Parser, Payload, ValType};

use super::{Image, Images};
use crate::limits::PAGE_BYTES;

/// Numbers of the sections that are changed.
const EXPORT: u8 = 7;
const START: u8 = 8;
const DATA: u8 = 11;

/// Begins the names of exports added here. A module that has one of them exports a name twice, and is not valid.
const PREFIX: &str = "portcullis:";

/// See the module.
pub(crate) struct Split {
    /// What is compiled.
    pub(crate) code: Vec<u8>,
    /// The export that is the start function.
    pub(crate) start: Option<String>,
    /// Exports of the mutable globals.
    pub(crate) globals: Vec<String>,
    /// Why no snapshot can be taken of its instances.
    pub(crate) unfit: Option<&'static str>,
    memory: u64,
    data: Vec<(u32, Range<usize>)>,
}

impl Split {
    /// # Errors
    /// What is malformed. The code itself is not validated: the compiler does that.
    pub(crate) fn of(wasm: &[u8]) -> Result<Self, String> {
        let mut split = Self {
            code: wasm.get(..8).unwrap_or_default().to_vec(),
            start: None,
            globals: Vec::new(),
            unfit: None,
            memory: 0,
            data: Vec::new(),
        };
        let mut exported = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.map_err(text)?;
            if let (Payload::CodeSectionEntry(body), None) = (&payload, split.unfit) {
                split.unfit = unfit(body).map_err(text)?;
            }
            let Some((id, range)) = payload.as_section() else {
                continue;
            };
            let content = wasm.get(range).unwrap_or_default();
            match payload {
                Payload::GlobalSection(globals) => split.globals(globals, &mut exported)?,
                Payload::MemorySection(memories) => {
                    for memory in memories {
                        split.memory = memory.map_err(text)?.initial.saturating_mul(PAGE_BYTES);
                    }
                }
                // The start section comes later, and is read ahead: its function is one more export.
                Payload::ExportSection(exports) => {
                    if let Some(function) = start_function(wasm).map_err(text)? {
                        let name = format!("{PREFIX}start");
                        exported.push((name.clone(), 0, function));
                        split.start = Some(name);
                    }
                    let count = exports.count();
                    split.section(EXPORT, &with_exports(count, content, &exported)?);
                    continue;
                }
                Payload::DataSection(segments) => {
                    let passive = split.segments(wasm, segments)?;
                    split.section(DATA, &passive);
                    continue;
                }
                _ => {}
            }
            if id != START {
                split.section(id, content);
            }
        }
        Ok(split)
    }

    /// The module's own image: zeros and its data.
    ///
    /// # Errors
    /// Data outside of the memory, or no room.
    pub(crate) fn image(&self, wasm: &[u8], images: &Arc<Images>) -> Result<Image, String> {
        let size = usize::try_from(self.memory).map_err(text)?;
        let segments = || {
            self.data.iter().map(|(at, range)| {
                let at = crate::memory::index(*at);
                (at, wasm.get(range.clone()).unwrap_or_default())
            })
        };
        let end = |(at, bytes): (usize, &[u8])| at.saturating_add(bytes.len());
        if segments().any(|segment| end(segment) > size) {
            return Err("a data segment is outside of the memory".to_owned());
        }
        let filled = || segments().filter(|(_, bytes)| !bytes.is_empty());
        let first = filled().map(|(at, _)| at).min().unwrap_or(0);
        let last = filled().map(end).max().unwrap_or(0);
        let no_room = |error: io::Error| format!("no room for the module's data: {error}");
        let image = images.zeroed(size, first..last).map_err(no_room)?;
        for (at, bytes) in filled() {
            image.write(at, bytes).map_err(no_room)?;
        }
        Ok(image)
    }

    fn section(&mut self, id: u8, content: &[u8]) {
        self.code.push(id);
        number(content.len(), &mut self.code);
        self.code.extend_from_slice(content);
    }

    fn globals(
        &mut self,
        globals: wasmparser::GlobalSectionReader<'_>,
        exported: &mut Vec<(String, u8, u32)>,
    ) -> Result<(), String> {
        const GLOBAL: u8 = 3;
        // None is imported: `inspect` has refused that.
        for (index, global) in (0_u32..).zip(globals) {
            let kind = global.map_err(text)?.ty;
            if kind.mutable {
                if matches!(kind.content_type, ValType::Ref(_)) {
                    self.unfit = Some("has a mutable global that holds a reference");
                }
                let name = format!("{PREFIX}global:{index}");
                exported.push((name.clone(), GLOBAL, index));
                self.globals.push(name);
            }
        }
        Ok(())
    }

    /// Keeps where the active segments go; they become empty passive ones, as they are once an instance was made.
    fn segments(
        &mut self,
        wasm: &[u8],
        segments: wasmparser::DataSectionReader<'_>,
    ) -> Result<Vec<u8>, String> {
        const PASSIVE: u8 = 1;
        let mut content = Vec::new();
        number(segments.count(), &mut content);
        for segment in segments {
            let segment = segment.map_err(text)?;
            content.push(PASSIVE);
            match segment.kind {
                DataKind::Active { offset_expr, .. } => {
                    number(0_u32, &mut content);
                    let end = segment.range.end;
                    let begin = end.saturating_sub(segment.data.len());
                    debug_assert_eq!(wasm.get(begin..end), Some(segment.data));
                    self.data.push((constant(&offset_expr)?, begin..end));
                }
                DataKind::Passive => {
                    number(segment.data.len(), &mut content);
                    content.extend_from_slice(segment.data);
                }
            }
        }
        Ok(content)
    }
}

/// The value of a constant expression of plain numbers: there are no imported globals to read.
fn constant(expression: &wasmparser::ConstExpr<'_>) -> Result<u32, String> {
    let mut operators = expression.get_operators_reader();
    let mut values: Vec<i32> = Vec::new();
    loop {
        let calculate = match operators.read().map_err(text)? {
            Operator::I32Const { value } => {
                values.push(value);
                continue;
            }
            Operator::I32Add => i32::wrapping_add,
            Operator::I32Sub => i32::wrapping_sub,
            Operator::I32Mul => i32::wrapping_mul,
            Operator::End => break,
            _ => return Err("the place of a data segment is no plain number".to_owned()),
        };
        if let (Some(right), Some(left)) = (values.pop(), values.pop()) {
            values.push(calculate(left, right));
        }
    }
    let value = values.pop().ok_or("a data segment has no place")?;
    Ok(value.cast_unsigned())
}

/// Why the state of an instance would not be in its memory and globals alone: code that changes tables, or drops
/// segments. Compilers emit none of it but for reference types.
fn unfit(body: &wasmparser::FunctionBody<'_>) -> wasmparser::Result<Option<&'static str>> {
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let reason = match operators.read()? {
            Operator::TableSet { .. } => "has the instruction table.set",
            Operator::TableGrow { .. } => "has the instruction table.grow",
            Operator::TableFill { .. } => "has the instruction table.fill",
            Operator::TableCopy { .. } => "has the instruction table.copy",
            Operator::TableInit { .. } => "has the instruction table.init",
            Operator::ElemDrop { .. } => "has the instruction elem.drop",
            Operator::DataDrop { .. } => "has the instruction data.drop",
            _ => continue,
        };
        return Ok(Some(reason));
    }
    Ok(None)
}

fn start_function(wasm: &[u8]) -> wasmparser::Result<Option<u32>> {
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::StartSection { func, .. } => return Ok(Some(func)),
            Payload::CodeSectionStart { .. } => break,
            _ => {}
        }
    }
    Ok(None)
}

/// An export section with more exports: each a name, a kind and an index.
fn with_exports(count: u32, section: &[u8], more: &[(String, u8, u32)]) -> Result<Vec<u8>, String> {
    let added = u32::try_from(more.len()).map_err(text)?;
    let mut content = Vec::with_capacity(section.len() + 32 * more.len());
    number(count.saturating_add(added), &mut content);
    // The count may be written in more bytes than it needs.
    let digits = section.iter().position(|byte| byte & 0x80 == 0);
    let entries = section.get(digits.map_or(0, |last| last + 1)..);
    content.extend_from_slice(entries.unwrap_or_default());
    for (name, kind, index) in more {
        number(name.len(), &mut content);
        content.extend_from_slice(name.as_bytes());
        content.push(*kind);
        number(*index, &mut content);
    }
    Ok(content)
}

/// A number as WebAssembly writes it (LEB128).
fn number(value: impl TryInto<u64>, out: &mut Vec<u8>) {
    let mut value = value.try_into().unwrap_or(u64::MAX);
    loop {
        let digit = (value & 0x7f).to_le_bytes()[0];
        value >>= 7;
        if value == 0 {
            return out.push(digit);
        }
        out.push(digit | 0x80);
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
