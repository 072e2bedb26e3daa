//! Images without the measurement sets whose solutions are too weak, where those spoil the image of all.

use crate::Result;
use crate::campaign::record::Level;
use crate::campaign::rounds::DatasetRun;
use crate::campaign::rounds::kept::{ActiveCalibration, Attempted, ImagePart};
use crate::campaign::rules::acceptance::clearly_better;
use crate::campaign::steps::{AttemptPlan, Prepared};
use crate::quality::metrics::ImageMetrics;

impl DatasetRun<'_> {
    /// Makes and measures the image of an attempt. Where measurement sets have solutions that are too weak, a second image
    /// is made without them; the better one counts. Those that `base` was imaged without stay out while they are weak.
    pub(in crate::campaign::rounds) fn image_what_is_better(
        &mut self,
        data: &Prepared,
        plan: &AttemptPlan,
        active: ActiveCalibration,
        base: Option<&Attempted>,
    ) -> Result<(Attempted, ImageMetrics)> {
        // Solutions by direction are of the measurement sets that were imaged before.
        let weak = if active.facets.is_some() { active.left_out() } else { active.weak() }.to_vec();
        let out_already = base.map_or(&[][..], |base| base.active.left_out());
        let stay_out: Vec<usize> = weak.iter().copied().filter(|member| out_already.contains(member)).collect();
        let all_stay_out = stay_out == weak;
        let with = self.make_images(data, plan, (active.without(stay_out), ImagePart::First), base)?;
        let of_with = self.measure(&with, base)?;
        if all_stay_out {
            self.record_left_out(&weak);
            return Ok((with, of_with));
        }
        let without = self.make_images(data, plan, (active.without(weak.clone()), ImagePart::WithoutWeakSets), base)?;
        let of_without = self.measure(&without, base)?;
        let better = clearly_better(&of_without, &of_with);
        self.note_comparison(data, &weak, better, (&of_with, &of_without));
        if !better {
            return Ok((with, of_with));
        }
        self.record_left_out(&weak);
        Ok((without, of_without))
    }

    fn record_left_out(&mut self, weak: &[usize]) {
        let record = self.current();
        let members = record.members.iter_mut().enumerate();
        members.filter(|(member, _)| weak.contains(member)).for_each(|(_, member)| member.left_out = true);
    }

    fn note_comparison(
        &mut self,
        data: &Prepared,
        weak: &[usize],
        better: bool,
        (with, without): (&ImageMetrics, &ImageMetrics),
    ) {
        let names: Vec<&str> = weak.iter().map(|member| data.sets[*member].name.as_str()).collect();
        let end =
            if better { "left out of the image while the solutions are too weak" } else { "imaged with the others" };
        let (are, round) = (if names.len() == 1 { "is" } else { "are" }, self.place.at.round);
        let text = format!(
            "round {round}: {names} {are} {end}: dynamic range {:.0} with, {:.0} without",
            with.dynamic_range,
            without.dynamic_range,
            names = names.join(", "),
        );
        self.note(if better { Level::Warning } else { Level::Info }, text);
    }
}
