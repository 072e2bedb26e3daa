//! Which sources are directions.

use super::{Component, Point, Source, divided, nearest, seen_flux, squared_distance};

/// What directions must have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    /// Flux of the faintest direction, Jy: what is seen of all sources in its cell ([`seen_flux`]).
    pub(crate) flux: f64,
    /// Smallest distance of two directions, pixels.
    pub(crate) distance: f64,
    /// Most directions.
    pub(crate) most: usize,
}

/// Chosen directions.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Choice {
    /// The directions, the brightest source first.
    pub(crate) directions: Vec<Point>,
    /// Flux that is seen of the cell of each ([`seen_flux`]), Jy.
    pub(crate) fluxes: Vec<f64>,
    /// Number of sources that would be directions, but whose cells are too faint: they belong to their neighbours.
    pub(crate) too_faint: usize,
}

/// Chooses directions among sources, the brightest first: each at least `distance` from those before it, nearer ones belong
/// to those; then, one at a time, the direction with the faintest cell goes to its neighbours, until all are bright enough
/// and there are no more than asked for.
pub(crate) fn choose(sources: &[Source], limits: &Limits) -> Choice {
    let mut directions: Vec<Point> = Vec::new();
    for source in sources {
        let far = |other: &Point| squared_distance(*other, source.at) >= limits.distance.powi(2);
        if directions.iter().all(far) {
            directions.push(source.at);
        }
    }
    let compact = |s: &Source| Component { at: s.at, flux: s.flux, island: 0, power: s.flux * s.flux };
    let all: Vec<Component> = sources.iter().map(compact).collect();
    keep_bright(directions, &all, limits)
}

/// Drops directions until the cells of all are bright enough and none is empty; one always stays.
pub(crate) fn keep_bright(mut directions: Vec<Point>, components: &[Component], limits: &Limits) -> Choice {
    let mut too_faint = 0;
    loop {
        let fluxes = fluxes(&directions, components);
        let faintest = (0..fluxes.len()).min_by(|a, b| fluxes[*a].total_cmp(&fluxes[*b]).then(b.cmp(a)));
        match faintest {
            Some(k) if directions.len() > 1 && (fluxes[k] < limits.flux || fluxes[k] <= 0.0) => {
                directions.remove(k);
                too_faint += 1;
            }
            Some(k) if directions.len() > limits.most.max(1) => {
                directions.remove(k);
            }
            _ => return Choice { directions, fluxes, too_faint },
        }
    }
}

/// Flux that is seen of the cell of each direction, Jy.
fn fluxes(directions: &[Point], components: &[Component]) -> Vec<f64> {
    if directions.is_empty() {
        return Vec::new();
    }
    divided(components, directions.len(), |at| nearest(directions, at)).iter().map(|part| seen_flux(part)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sources(list: &[(f64, f64, f64)]) -> Vec<Source> {
        let of = |&(x, y, flux): &(f64, f64, f64)| Source { at: [x, y], flux };
        let mut sources: Vec<Source> = list.iter().map(of).collect();
        sources.sort_by(|a, b| b.flux.total_cmp(&a.flux));
        sources
    }

    const LIMITS: Limits = Limits { flux: 0.5, distance: 10.0, most: 9 };

    #[test]
    fn close_sources_share_a_direction_and_faint_ones_join_their_neighbour() {
        let sources =
            sources(&[(0.0, 0.0, 2.0), (5.0, 0.0, 1.0), (50.0, 0.0, 0.7), (60.0, 0.0, 0.2), (0.0, 40.0, 0.4)]);
        let choice = choose(&sources, &LIMITS);
        assert_eq!(choice.directions, [[0.0, 0.0], [50.0, 0.0]]);
        let squares = [4.0 + 1.0 + 0.16, 0.49 + 0.04];
        assert!((0..2).all(|k| (choice.fluxes[k].powi(2) - squares[k]).abs() < 1e-12), "{:?}", choice.fluxes);
        assert_eq!(choice.too_faint, 2);
    }

    #[test]
    fn no_more_than_asked_for_and_at_least_one() {
        let sources = sources(&[(0.0, 0.0, 2.0), (50.0, 0.0, 1.5), (0.0, 50.0, 1.0)]);
        let few = choose(&sources, &Limits { most: 2, ..LIMITS });
        assert_eq!((few.directions.len(), few.too_faint), (2, 0));
        let faint = choose(&sources, &Limits { flux: 100.0, ..LIMITS });
        assert_eq!(faint.directions, [[0.0, 0.0]]);
        assert_eq!(choose(&[], &LIMITS), Choice::default());
    }

    #[test]
    fn directions_without_components_join_their_neighbour() {
        let of = |at, flux, power| Component { at, flux, island: 0, power };
        let components = [of([1.0, 0.0], 2.0, 4.0), of([50.0, 1.0], -0.1, -0.01)];
        let kept =
            keep_bright(vec![[0.0, 0.0], [50.0, 0.0], [0.0, 90.0]], &components, &Limits { flux: 0.0, ..LIMITS });
        assert_eq!(kept.directions, [[0.0, 0.0]], "one is empty, the other has no flux above 0");
        assert_eq!(kept.too_faint, 2);
    }

    proptest! {
        #[test]
        fn what_is_chosen_keeps_the_limits(
            list in prop::collection::vec((0.0f64..100.0, 0.0f64..100.0, 0.01f64..3.0), 1..30), most in 1usize..8
        ) {
            let sources = sources(&list);
            let choice = choose(&sources, &Limits { most, ..LIMITS });
            let total: f64 = list.iter().map(|(_, _, flux)| flux * flux).sum();
            let squares: f64 = choice.fluxes.iter().map(|flux| flux * flux).sum();
            prop_assert!((squares - total).abs() < 1e-9, "nothing is lost");
            prop_assert!((1..=most).contains(&choice.directions.len()));
            prop_assert!(choice.directions.len() == 1 || choice.fluxes.iter().all(|flux| *flux >= LIMITS.flux));
            for (k, a) in choice.directions.iter().enumerate() {
                prop_assert!(choice.directions[..k].iter().all(|b| squared_distance(*a, *b) >= 100.0));
            }
        }
    }
}
