//! Measurement sets that were renamed since the campaign last ran.
//!
//! Each one's folder is called after it, so a set with a new name would start from the beginning. The journal knows the identity of the data that
//! its folder was made from; a set with a name that the campaign has not seen, whose data are those of a set that is
//! listed no longer, goes on under the old name.

use crate::Result;
use crate::campaign::events::Emitter;
use crate::campaign::journal::{Journal, StepId, StepKey};
use crate::campaign::layout::Layout;
use crate::campaign::plan::{Plan, TargetPlan};
use crate::campaign::record::{CampaignRecord, Level};
use std::collections::HashSet;

/// The plan with the names under which renamed measurement sets were known. `identity` reads a set's identity.
pub(crate) fn under_known_names(
    plan: &Plan,
    identity: &dyn Fn(&TargetPlan) -> Result<String>,
    events: &Emitter,
) -> Plan {
    let mut plan = plan.clone();
    let Ok(earlier) = CampaignRecord::load(&plan.output) else { return plan };
    // The only measurement set of a campaign has no folder of its own.
    if plan.targets.len() < 2 || earlier.name != plan.name {
        return plan;
    }
    let listed: HashSet<&str> = plan.targets.iter().map(|s| s.name.as_str()).collect();
    let known: HashSet<&str> = earlier.datasets.iter().map(|d| d.name.as_str()).collect();
    let mut gone: Vec<(String, StepKey)> = earlier
        .datasets
        .iter()
        .filter(|d| !listed.contains(d.name.as_str()))
        .filter_map(|d| {
            let journal = Layout::new(plan.output.join(&d.name)).journal();
            Some((d.name.clone(), Journal::last_done_key(&journal, StepId::PREPARE)?))
        })
        .collect();
    if gone.is_empty() {
        return plan;
    }
    let new: Vec<usize> = (0..plan.targets.len()).filter(|i| !known.contains(plan.targets[*i].name.as_str())).collect();
    for index in new {
        let set = &mut plan.targets[index];
        // A set that cannot be read says so when its turn comes.
        let Ok(key) = identity(set).map(|identity| StepKey::of_data(&identity)) else { continue };
        let Some(found) = gone.iter().position(|(_, k)| *k == key) else { continue };
        let (name, _) = gone.swap_remove(found);
        let text = format!("{} holds the data of {name}: going on under that name", set.members[0].path.display());
        events.message(Some(&name), Level::Info, text);
        set.name = name;
    }
    plan
}
