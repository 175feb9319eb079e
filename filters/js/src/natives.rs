//! The functions of the proxy that `prelude.js` is made of.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use boa_engine::object::builtins::JsArray;
use boa_engine::object::{JsObject, ObjectInitializer};
use boa_engine::{
    Context, JsArgs, JsError, JsNativeError, JsResult, JsString, JsValue, NativeFunction, js_string,
};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, Status};

/// What the script asked for since the last look.
#[derive(Default)]
pub(crate) struct Turn {
    pub(crate) replied: Cell<bool>,
    /// Callouts under way.
    pub(crate) calls: Cell<usize>,
    /// A promise of the script that was rejected.
    pub(crate) failed: RefCell<Option<String>>,
}

/// The object `host`.
pub(crate) fn host(context: &mut Context) -> JsObject {
    let functions: [(JsString, boa_engine::native_function::NativeFunctionPointer); 12] = [
        (js_string!("header"), header),
        (js_string!("headers"), headers),
        (js_string!("setHeader"), set_header),
        (js_string!("addHeader"), add_header),
        (js_string!("body"), body),
        (js_string!("setBody"), set_body),
        (js_string!("reply"), reply),
        (js_string!("call"), call),
        (js_string!("property"), property),
        (js_string!("log"), log),
        (js_string!("sharedGet"), shared_get),
        (js_string!("sharedSet"), shared_set),
    ];
    let mut object = ObjectInitializer::new(context);
    for (name, function) in functions {
        object.function(NativeFunction::from_fn_ptr(function), name, 0);
    }
    object.function(NativeFunction::from_fn_ptr(failed), js_string!("failed"), 1);
    object.build()
}

fn header(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = text(args, 1, context)?;
    let value = hostcalls::get_map_value_bytes(map(args, context)?, &name).map_err(refused)?;
    Ok(value.map_or_else(JsValue::null, |value| string(&value)))
}

fn headers(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let pairs = hostcalls::get_map_bytes(map(args, context)?).map_err(refused)?;
    let list = JsArray::new(context)?;
    for (name, value) in pairs {
        let pair = [string(name.as_bytes()), string(&value)];
        list.push(JsArray::from_iter(pair, context), context)?;
    }
    Ok(list.into())
}

fn set_header(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = text(args, 1, context)?;
    let value = match args.get_or_undefined(2) {
        value if value.is_null() => None,
        _ => Some(text(args, 2, context)?),
    };
    hostcalls::set_map_value(map(args, context)?, &name, value.as_deref()).map_err(refused)?;
    Ok(JsValue::undefined())
}

fn add_header(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let (name, value) = (text(args, 1, context)?, text(args, 2, context)?);
    hostcalls::add_map_value(map(args, context)?, &name, &value).map_err(refused)?;
    Ok(JsValue::undefined())
}

fn body(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let bytes = hostcalls::get_buffer(buffer(args, context)?, 0, i32::MAX as usize);
    Ok(string(&bytes.map_err(refused)?.unwrap_or_default()))
}

fn set_body(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let body = text(args, 1, context)?;
    hostcalls::set_buffer(
        buffer(args, context)?,
        0,
        i32::MAX as usize,
        body.as_bytes(),
    )
    .map_err(refused)?;
    Ok(JsValue::undefined())
}

fn reply(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let status = args.get_or_undefined(0).to_u32(context)?;
    if !(200..600).contains(&status) {
        return Err(JsNativeError::range()
            .with_message("the status of a reply is from 200 to 599")
            .into());
    }
    let headers = pairs(args, 1, context)?;
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let body = text(args, 2, context)?;
    hostcalls::send_http_response(status, headers.collect(), Some(body.as_bytes()))
        .map_err(refused)?;
    turn(context).replied.set(true);
    Ok(JsValue::undefined())
}

fn call(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let upstream = text(args, 0, context)?;
    let headers = pairs(args, 1, context)?;
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let body = text(args, 2, context)?;
    let timeout = Duration::from_millis(args.get_or_undefined(3).to_u32(context)?.into());
    let token =
        hostcalls::dispatch_http_call(&upstream, headers.collect(), Some(body.as_bytes()), vec![], timeout)
            .map_err(|status| {
                let message = format!(
                    "the callout to \"{upstream}\" was refused ({status:?}): is there such an upstream, and a grant for it?"
                );
                JsNativeError::error().with_message(message)
            })?;
    let calls = &turn(context).calls;
    calls.set(calls.get() + 1);
    Ok(token.into())
}

fn property(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let mut path = Vec::new();
    for segment in list(args, 0, context)? {
        path.push(segment.to_string(context)?.to_std_string_escaped());
    }
    let path = path.iter().map(String::as_str).collect();
    let value = hostcalls::get_property(path).map_err(refused)?;
    Ok(value.map_or_else(JsValue::null, |value| string(&value)))
}

fn log(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let level = match args.get_or_undefined(0).to_u32(context)? {
        0 | 1 => LogLevel::Debug,
        2 => LogLevel::Info,
        3 => LogLevel::Warn,
        _ => LogLevel::Error,
    };
    hostcalls::log(level, &text(args, 1, context)?).map_err(refused)?;
    Ok(JsValue::undefined())
}

/// Value and number; null and 0 for a key that is not there.
fn shared_get(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let (value, number) = hostcalls::get_shared_data(&text(args, 0, context)?).map_err(refused)?;
    let value = value.map_or_else(JsValue::null, |value| string(&value));
    Ok(JsArray::from_iter([value, number.unwrap_or(0).into()], context).into())
}

/// Whether it was stored; not where the number is not that of the present value.
fn shared_set(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let (key, value) = (text(args, 0, context)?, text(args, 1, context)?);
    let number = match args.get_or_undefined(2).to_u32(context)? {
        0 => None,
        number => Some(number),
    };
    match hostcalls::set_shared_data(&key, Some(value.as_bytes()), number) {
        Ok(()) => Ok(true.into()),
        Err(Status::CasMismatch) => Ok(false.into()),
        Err(status) => Err(refused(status)),
    }
}

fn failed(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let error = JsError::from_opaque(args.get_or_undefined(0).clone());
    turn(context).failed.borrow_mut().replace(error.to_string());
    Ok(JsValue::undefined())
}

fn turn(context: &Context) -> &Turn {
    context
        .get_data()
        .expect("put there when the script was loaded")
}

fn refused(status: Status) -> JsError {
    JsNativeError::error()
        .with_message(format!("the proxy refused it: {status:?}"))
        .into()
}

/// Bytes of the proxy as a script sees them: what is not UTF-8 becomes U+FFFD.
fn string(bytes: &[u8]) -> JsValue {
    JsString::from(&*String::from_utf8_lossy(bytes)).into()
}

fn text(args: &[JsValue], at: usize, context: &mut Context) -> JsResult<String> {
    let text = args.get_or_undefined(at).to_string(context)?;
    Ok(text.to_std_string_lossy())
}

fn list(args: &[JsValue], at: usize, context: &mut Context) -> JsResult<Vec<JsValue>> {
    of_array(args.get_or_undefined(at), context)
}

fn of_array(value: &JsValue, context: &mut Context) -> JsResult<Vec<JsValue>> {
    let object = value.to_object(context)?;
    let array = JsArray::from_object(object)?;
    let length = array.length(context)?;
    (0..length).map(|index| array.get(index, context)).collect()
}

fn pairs(args: &[JsValue], at: usize, context: &mut Context) -> JsResult<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for pair in list(args, at, context)? {
        let pair = of_array(&pair, context)?;
        pairs.push((text(&pair, 0, context)?, text(&pair, 1, context)?));
    }
    Ok(pairs)
}

fn map(args: &[JsValue], context: &mut Context) -> JsResult<MapType> {
    Ok(match args.get_or_undefined(0).to_u32(context)? {
        0 => MapType::HttpRequestHeaders,
        2 => MapType::HttpResponseHeaders,
        _ => MapType::HttpCallResponseHeaders,
    })
}

fn buffer(args: &[JsValue], context: &mut Context) -> JsResult<BufferType> {
    Ok(match args.get_or_undefined(0).to_u32(context)? {
        0 => BufferType::HttpRequestBody,
        1 => BufferType::HttpResponseBody,
        _ => BufferType::HttpCallResponseBody,
    })
}
