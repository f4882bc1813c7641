//! What is printed: one row for each load, one line for each other fact, with its goal.

use super::drive::Outcome;

/// One load.
pub struct Row {
    name: String,
    rate: f64,
    percentiles_ms: [f64; 3],
    ratio: Option<f64>,
    cpu_us: f64,
    cost: Option<f64>,
    remark: String,
}

impl Row {
    /// The medians of some rounds. `ratios` are those of the rate to the reference's, round by
    /// round, and `costs` those of the server's processor time.
    pub fn of(name: &str, rounds: &[Outcome], ratios: &[f64], costs: &[f64], remark: &str) -> Self {
        let over = |read: fn(&Outcome) -> f64| median(rounds.iter().map(read).collect());
        let percentiles_ms = [
            over(|round| round.percentile_ms(50.0)),
            over(|round| round.percentile_ms(99.0)),
            over(|round| round.percentile_ms(99.9)),
        ];
        let middle = |values: &[f64]| (!values.is_empty()).then(|| median(values.to_vec()));
        let (ratio, cost) = (middle(ratios), middle(costs));
        let spread = match (
            ratios.iter().copied().reduce(f64::min),
            ratios.iter().copied().reduce(f64::max),
        ) {
            (Some(least), Some(most)) if ratios.len() > 1 => format!("{least:.2}-{most:.2}; "),
            _ => String::new(),
        };
        let rate = over(Outcome::rate);
        let refusals = over(|round| round.refused as f64 / round.time.as_secs_f64());
        let refused = if refusals > 0.0 {
            format!("; {:.0}/s with refusals", rate + refusals)
        } else {
            String::new()
        };
        let cpu_us = over(|round| round.cpu_us);
        let remark = format!("{spread}{remark}{refused}");
        Self { name: name.to_owned(), rate, percentiles_ms, ratio, cpu_us, cost, remark }
    }

    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Prints it at once: a long run is watched.
    pub fn print(&self) {
        let [half, most, nearly_all] = self.percentiles_ms;
        let text = |ratio: Option<f64>| ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        println!(
            "{:<44} {:>8.0} {half:>8.2} {most:>8.2} {nearly_all:>8.2} {:>7} {:>7.1} {:>7}  {}",
            self.name,
            self.rate,
            text(self.ratio),
            self.cpu_us,
            text(self.cost),
            self.remark
        );
    }
}

/// Prints what the columns are.
pub fn head(title: &str) {
    println!("\n{title}");
    println!(
        "{:<44} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>7}  spread of the ratio; goal",
        "", "req/s", "p50 ms", "p99 ms", "p99.9 ms", "x bare", "cpu us", "x bare"
    );
}

/// Prints a fact that is no load.
pub fn fact(name: &str, value: f64, unit: &str, goal: &str) {
    println!("{name:<60} {value:>10.1} {unit:<6} {goal}");
}

/// The value in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
