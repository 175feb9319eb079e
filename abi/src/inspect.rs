//! What a module is, read from its bytes without compiling: version, imports, exports, memory, grants it will need.

use std::fmt;

use wasmparser::{ExternalKind, FuncType, MemoryType, Parser, Payload, TypeRef, ValType};

use crate::callbacks;
use crate::hostcalls::{self, Hostcall, Type};
use crate::limits::{GLOBALS_MAX, MODULE_BYTES_MAX, PAGE_BYTES, TABLE_ELEMENTS_MAX, TABLES_MAX};
use crate::module::LoadError;

/// What a module is and wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Markers it exports, oldest first; at least one.
    pub abi: Vec<AbiVersion>,
    /// Imports in order.
    pub imports: Vec<Import>,
    /// Names of all exports in order.
    pub exports: Vec<String>,
    /// Size of the module in bytes.
    pub size: usize,
    /// Linear memory at the start, in bytes.
    pub memory_initial: u64,
    /// What the module itself bounds its memory to, in bytes.
    pub memory_maximum: Option<u64>,
    /// `module.name` of imports that this host does not have: calling one is a fault.
    pub unknown_imports: Vec<String>,
    /// What it can only do if granted.
    pub grants: GrantNeeds,
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// `env`, or one of the names of WASI.
    pub module: String,
    /// Name of the function.
    pub name: String,
    /// Whether the host has it.
    pub known: bool,
}

/// Grants whose host functions a module imports. It may not call them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrantNeeds {
    /// `proxy_http_call`
    pub http_call: bool,
    /// `proxy_grpc_call`, `proxy_grpc_stream`
    pub grpc_call: bool,
    /// `proxy_call_foreign_function`
    pub foreign: bool,
    /// `proxy_resolve_shared_queue`: may name queues of other `vm_id`s.
    pub queues: bool,
}

/// A version of the ABI, known by an exported marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AbiVersion {
    /// 0.1.0
    V0_1_0,
    /// 0.2.0
    V0_2_0,
    /// 0.2.1
    V0_2_1,
    /// 0.2.100, the marker of the Higress SDKs: 0.2.1 with more actions.
    V0_2_100,
}

impl AbiVersion {
    const ALL: [(&'static str, Self); 4] = [
        ("proxy_abi_version_0_1_0", Self::V0_1_0),
        ("proxy_abi_version_0_2_0", Self::V0_2_0),
        ("proxy_abi_version_0_2_1", Self::V0_2_1),
        ("proxy_abi_version_0_2_100", Self::V0_2_100),
    ];
}

impl fmt::Display for AbiVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_2_1 => "0.2.1",
            Self::V0_2_100 => "0.2.100",
        })
    }
}

/// Reads a module's sections and checks all that has a name. Code is not validated: loading does that.
///
/// # Errors
/// See [`LoadError`].
pub fn inspect(wasm: &[u8]) -> Result<Report, LoadError> {
    if wasm.len() > MODULE_BYTES_MAX {
        return Err(LoadError::TooLarge { size: wasm.len() });
    }
    let sections = Sections::read(wasm)?;
    let exports: Vec<String> = sections
        .exports
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    let abi: Vec<AbiVersion> = AbiVersion::ALL
        .into_iter()
        .filter(|(marker, _)| exports.iter().any(|export| export == marker))
        .map(|(_, version)| version)
        .collect();
    if abi.is_empty() {
        return Err(LoadError::NoMarker);
    }
    sections.check_exports()?;
    let imports = sections.check_imports()?;
    let memory = sections.memory.ok_or(LoadError::NoMemory)?;
    let imports_name = |name: &str| {
        imports
            .iter()
            .any(|import| import.module == "env" && import.name == name)
    };
    Ok(Report {
        grants: GrantNeeds {
            http_call: imports_name("proxy_http_call"),
            grpc_call: imports_name("proxy_grpc_call") || imports_name("proxy_grpc_stream"),
            foreign: imports_name("proxy_call_foreign_function"),
            queues: imports_name("proxy_resolve_shared_queue"),
        },
        unknown_imports: imports
            .iter()
            .filter(|import| !import.known)
            .map(|import| format!("{}.{}", import.module, import.name))
            .collect(),
        abi,
        imports,
        exports,
        size: wasm.len(),
        memory_initial: memory.initial.saturating_mul(PAGE_BYTES),
        memory_maximum: memory.maximum.map(|pages| pages.saturating_mul(PAGE_BYTES)),
    })
}

/// The sections that matter, as they are in the file.
#[derive(Default)]
struct Sections<'a> {
    types: Vec<FuncType>,
    imports: Vec<wasmparser::Import<'a>>,
    /// Type of each function, imported ones first.
    functions: Vec<u32>,
    exports: Vec<(&'a str, ExternalKind, u32)>,
    memory: Option<MemoryType>,
}

impl<'a> Sections<'a> {
    fn read(wasm: &'a [u8]) -> Result<Self, LoadError> {
        let mut sections = Self::default();
        let mut memories = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.map_err(invalid)? {
                Payload::Version {
                    encoding: wasmparser::Encoding::Component,
                    ..
                } => {
                    return Err(LoadError::Invalid(
                        "this is a component; proxy-wasm modules are core modules".into(),
                    ));
                }
                Payload::TypeSection(reader) => {
                    sections.types = reader
                        .into_iter_err_on_gc_types()
                        .collect::<Result<_, _>>()
                        .map_err(invalid)?;
                }
                Payload::ImportSection(reader) => {
                    sections.imports = reader
                        .into_imports()
                        .collect::<Result<_, _>>()
                        .map_err(invalid)?;
                    let imported = sections
                        .imports
                        .iter()
                        .filter_map(|import| match import.ty {
                            TypeRef::Func(index) | TypeRef::FuncExact(index) => Some(index),
                            _ => None,
                        });
                    sections.functions.extend(imported);
                }
                Payload::FunctionSection(reader) => {
                    for index in reader {
                        sections.functions.push(index.map_err(invalid)?);
                    }
                }
                Payload::TableSection(reader) => check_tables(reader)?,
                Payload::MemorySection(reader) => {
                    memories = reader
                        .into_iter()
                        .collect::<Result<_, _>>()
                        .map_err(invalid)?;
                }
                Payload::GlobalSection(reader) => {
                    limit("globals", reader.count().into(), GLOBALS_MAX.into())?;
                }
                Payload::ExportSection(reader) => {
                    for export in reader {
                        let export = export.map_err(invalid)?;
                        sections
                            .exports
                            .push((export.name, export.kind, export.index));
                    }
                }
                _ => {}
            }
        }
        sections.memory = sections.exported_memory(&memories);
        Ok(sections)
    }

    fn exported_memory(&self, memories: &[MemoryType]) -> Option<MemoryType> {
        let (_, _, index) = self
            .exports
            .iter()
            .find(|(name, kind, _)| *name == "memory" && *kind == ExternalKind::Memory)?;
        memories.get(usize::try_from(*index).ok()?).copied()
    }

    fn check_exports(&self) -> Result<(), LoadError> {
        for (name, kind, index) in &self.exports {
            let Some(allowed) = callbacks::signatures(name) else {
                continue;
            };
            let found = match kind {
                ExternalKind::Func => self.function_type(*index)?,
                _ => {
                    return Err(LoadError::ExportSignature {
                        name: (*name).to_owned(),
                        expected: "a function".to_owned(),
                        found: "something else".to_owned(),
                    });
                }
            };
            let (params, results) = (types(found.params()), types(found.results()));
            if !allowed
                .iter()
                .any(|signature| signature.is(&params, &results))
            {
                return Err(LoadError::ExportSignature {
                    name: (*name).to_owned(),
                    expected: allowed
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join(" or "),
                    found: hostcalls::display(&params, &results),
                });
            }
        }
        Ok(())
    }

    fn check_imports(&self) -> Result<Vec<Import>, LoadError> {
        self.imports
            .iter()
            .map(|import| self.check_import(import))
            .collect()
    }

    fn check_import(&self, import: &wasmparser::Import<'_>) -> Result<Import, LoadError> {
        let (module, name) = (import.module.to_owned(), import.name.to_owned());
        let index = match import.ty {
            TypeRef::Func(index) | TypeRef::FuncExact(index) => index,
            TypeRef::Memory(_) => {
                return Err(LoadError::ImportKind {
                    module,
                    name,
                    kind: "memory",
                });
            }
            TypeRef::Table(_) => {
                return Err(LoadError::ImportKind {
                    module,
                    name,
                    kind: "table",
                });
            }
            TypeRef::Global(_) => {
                return Err(LoadError::ImportKind {
                    module,
                    name,
                    kind: "global",
                });
            }
            TypeRef::Tag(_) => {
                return Err(LoadError::ImportKind {
                    module,
                    name,
                    kind: "tag",
                });
            }
        };
        if !hostcalls::is_module(&module) {
            return Err(LoadError::UnknownModule { module, name });
        }
        let known = hostcalls::find(&module, &name);
        if let Some(known) = known {
            let found = self.type_at(index)?;
            let (params, results) = (types(found.params()), types(found.results()));
            if !known.signature.is(&params, &results) {
                return Err(LoadError::ImportSignature {
                    module,
                    name,
                    expected: known.signature.to_string(),
                    found: hostcalls::display(&params, &results),
                });
            }
            self.check_allocator(known)?;
        }
        Ok(Import {
            known: known.is_some(),
            module,
            name,
        })
    }

    fn check_allocator(&self, import: &Hostcall) -> Result<(), LoadError> {
        let allocates = |name: &str| name == "proxy_on_memory_allocate" || name == "malloc";
        if import.gives_data() && !self.exports.iter().any(|(name, ..)| allocates(name)) {
            return Err(LoadError::NoAllocator {
                import: format!("import {}.{}", import.module, import.name),
            });
        }
        Ok(())
    }

    fn function_type(&self, function: u32) -> Result<&FuncType, LoadError> {
        let index = usize::try_from(function)
            .ok()
            .and_then(|function| self.functions.get(function));
        self.type_at(*index.ok_or_else(|| LoadError::Invalid(format!("no function {function}")))?)
    }

    fn type_at(&self, index: u32) -> Result<&FuncType, LoadError> {
        let found = usize::try_from(index)
            .ok()
            .and_then(|index| self.types.get(index));
        found.ok_or_else(|| LoadError::Invalid(format!("no type {index}")))
    }
}

fn check_tables(reader: wasmparser::TableSectionReader<'_>) -> Result<(), LoadError> {
    limit("tables", reader.count().into(), to_u64(TABLES_MAX))?;
    for table in reader {
        limit(
            "table elements",
            table.map_err(invalid)?.ty.initial,
            to_u64(TABLE_ELEMENTS_MAX),
        )?;
    }
    Ok(())
}

fn limit(what: &'static str, count: u64, limit: u64) -> Result<(), LoadError> {
    if count > limit {
        Err(LoadError::Declares { what, count, limit })
    } else {
        Ok(())
    }
}

fn to_u64(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn types(values: &[ValType]) -> Vec<Type> {
    values
        .iter()
        .map(|value| match value {
            ValType::I32 => Type::I32,
            ValType::I64 => Type::I64,
            ValType::F32 => Type::F32,
            ValType::F64 => Type::F64,
            ValType::V128 => Type::V128,
            ValType::Ref(_) => Type::Ref,
        })
        .collect()
}

fn invalid(error: wasmparser::BinaryReaderError) -> LoadError {
    LoadError::Invalid(error.to_string())
}
