//! What was measured, against what was promised.

/// In order.
pub(super) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

pub(super) fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let (low, high) = ((sorted.len().max(1) - 1) / 2, sorted.len() / 2);
    if sorted.is_empty() { f64::NAN } else { (sorted[low] + sorted[high]) / 2.0 }
}

/// Prints each row as it is known.
pub(super) struct Table {
    pub(super) kept: bool,
}

impl Default for Table {
    fn default() -> Table {
        println!(
            "{:<66} {:>9} {:>9}   promised (median, worst)",
            "milliseconds unless it says otherwise", "median", "worst"
        );
        Table { kept: true }
    }
}

impl Table {
    /// A row of what must not be more than promised, at the median and at the worst.
    pub(super) fn row(&mut self, name: &str, values: &[f64], promised: Option<(f64, f64)>) {
        let (median, worst) = (median(values), sorted(values).last().copied().unwrap_or(f64::NAN));
        let told = promised.map(|(most, at_worst)| {
            let kept = median <= most && worst <= at_worst;
            self.kept &= kept;
            let shown = |limit: f64| if limit.is_finite() { format!("{limit:.1}") } else { "–".to_owned() };
            format!("{}, {} {}", shown(most), shown(at_worst), if kept { "kept" } else { "NOT KEPT" })
        });
        println!("{name:<66} {median:>9.2} {worst:>9.2}   {}", told.unwrap_or_default());
    }

    /// A figure that must not be above what is promised.
    pub(super) fn at_most(&mut self, name: &str, value: f64, promised: f64) {
        self.one(name, value, &format!("at most {promised:.0}"), value <= promised);
    }

    /// A figure that must not be below what is promised.
    pub(super) fn at_least(&mut self, name: &str, value: f64, promised: f64) {
        self.one(name, value, &format!("at least {promised:.0}"), value >= promised);
    }

    fn one(&mut self, name: &str, value: f64, promised: &str, kept: bool) {
        self.kept &= kept;
        let word = if kept { "kept" } else { "NOT KEPT" };
        println!("{name:<66} {value:>9.2} {:>9}   {promised} {word}", "");
    }
}
