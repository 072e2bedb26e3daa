//! Rounds by direction as Slurm's jobs.

use super::slurm;
use crate::campaign::facets::{SMALL_CAMPAIGN, small_campaign};
use crate::campaign::whole::{final_pixels, succeed};

#[test]
#[ignore = "needs wsclean, CASA, DP3, and a Slurm of its own, which `make test-slurm` starts"]
fn rounds_by_direction_give_the_same_images_as_on_this_machine() {
    let _guard = slurm();
    let here = small_campaign(SMALL_CAMPAIGN);
    succeed(here.path());
    let scheduler = "output: out, scheduler: {engine: slurm, memory_gb: 1, time_limit: 30m, poll: 1s}";
    let jobs = small_campaign(&SMALL_CAMPAIGN.replace("output: out", scheduler));
    let record = succeed(jobs.path());
    assert!(record.datasets[0].rounds[2].facets.is_some());
    assert!(jobs.path().join("out/slurm").is_dir());
    assert!(final_pixels(jobs.path()) == final_pixels(here.path()), "the jobs end with other images");
}
