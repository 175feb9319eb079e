//! The rules of one configuration at work. Configurations with the same rules share one engine.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use portcullis_seclang::Engine;
use portcullis_seclang::source::Problem;
use portcullis_seclang::transaction::tuning::Tuning;
use portcullis_waf_policy::files::Bundle;
use portcullis_waf_policy::{Mode, Policy, Shape};

/// See the module.
#[derive(Debug)]
pub struct Waf {
    pub policy: Policy,
    /// `None` where no rule runs.
    pub rules: Option<Rules>,
}

/// An engine, tuned.
#[derive(Debug)]
pub struct Rules {
    pub engine: Engine,
    pub tuning: Arc<Tuning>,
    /// Tags that rules have, without those made of what a client sent: what may become a label of a metric.
    pub tags: Rc<HashSet<String>>,
}

/// The engines of a VM.
#[derive(Debug, Default)]
pub struct Engines(RefCell<HashMap<Shape, Compiled>>);

/// What is the same for all tunings.
#[derive(Clone, Debug)]
struct Compiled {
    engine: Engine,
    tags: Rc<HashSet<String>>,
}

impl Waf {
    /// Reads a configuration and compiles its rules, unless another has the same.
    ///
    /// # Errors
    /// Every problem of the configuration, or else of its rules.
    pub fn new(
        configuration: &[u8],
        files: impl FnOnce() -> Result<Bundle, String>,
        engines: &Engines,
    ) -> Result<Self, Vec<String>> {
        let policy = Policy::parse(configuration)?;
        if policy.mode == Mode::Off {
            return Ok(Self {
                policy,
                rules: None,
            });
        }
        let Compiled { engine, tags } = engines.compiled(&policy.shape, files)?;
        let tuning = Tuning::new(policy.tuning.clone(), engine.plan()).map_err(|problems| {
            let told = problems.into_iter();
            told.map(|(index, message)| format!("exclude[{index}]: {message}"))
                .collect::<Vec<_>>()
        })?;
        Ok(Self {
            policy,
            rules: Some(Rules {
                engine,
                tuning: Arc::new(tuning),
                tags,
            }),
        })
    }
}

impl Engines {
    fn compiled(
        &self,
        shape: &Shape,
        files: impl FnOnce() -> Result<Bundle, String>,
    ) -> Result<Compiled, Vec<String>> {
        if let Some(compiled) = self.0.borrow().get(shape) {
            return Ok(compiled.clone());
        }
        let Bundle(files) = files().map_err(|message| vec![message])?;
        let parsed = shape.parse(&files).map_err(told)?;
        let engine = Engine::new(parsed.rules, &files).map_err(told)?;
        let tags = engine.plan().identities.iter();
        let tags = tags.flat_map(|rule| &rule.metadata.tags);
        let tags = tags.filter_map(|tag| tag.literal().map(str::to_owned));
        let tags = Rc::new(tags.collect::<HashSet<_>>());
        let compiled = Compiled { engine, tags };
        self.0.borrow_mut().insert(shape.clone(), compiled.clone());
        Ok(compiled)
    }
}

fn told(problems: Vec<Problem>) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}
