# Two-way errors and exact differences, by leaving out and counting again: no formula of ours.
source(file.path(dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))), "tools.R"))

r <- function(rows) cor(rows$satisfaction, rows$retainability)
spread <- function(left) (length(left) - 1) / length(left) * sum((left - mean(left))^2)
sites <- sort(unique(d$site_id))
months <- sort(unique(d$period))
cells <- unique(d[, c("site_id", "period")])
without_site <- function(f, rows) sapply(sites, function(s) f(rows[rows$site_id != s, ]))
without_month <- function(f, rows) sapply(months, function(m) f(rows[rows$period != m, ]))
without_cell <- function(f, rows) sapply(seq_len(nrow(cells)), function(i) f(rows[!(rows$site_id == cells$site_id[i] & rows$period == cells$period[i]), ]))
# Cameron, Gelbach & Miller (2011): one way plus the other less both, never less than the larger one
two_way <- function(f) {
  parts <- c(spread(without_site(f, d)), spread(without_month(f, d)), spread(without_cell(f, d)))
  list(estimate = f(d), std_error = sqrt(max(parts[1] + parts[2] - parts[3], parts[1], parts[2])))
}
say("two_way_r", two_way(r))
say("two_way_error_of_waits", two_way(function(rows) cor(rows$satisfaction, rows$wait_s)))

of <- function(rows, segment) rows[rows$value_segment == segment, ]
gap <- function(rows) r(of(rows, "high")) - r(of(rows, "mass"))
# sites without a customer of either group say nothing: they are no observations of this number
difference <- function(f, rows = d) {
  left <- sapply(sort(unique(rows$site_id)), function(s) f(d[d$site_id != s, ]))
  error <- sqrt(spread(left))
  half <- qt(0.975, length(left) - 1) * error
  list(estimate = f(d), std_error = error, conf_low = f(d) - half, conf_high = f(d) + half, p_value = 2 * pt(-abs(f(d)) / error, length(left) - 1))
}
say("high_against_mass", difference(gap, d[d$value_segment %in% c("high", "mass"), ]))
in_month <- function(rows, month) rows[rows$period == month, ]
say("october_against_september", difference(function(rows) r(in_month(rows, "2026-10")) - r(in_month(rows, "2026-09"))))

write_witness(character())
