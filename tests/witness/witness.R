# What R says of witness.csv. Run as `Rscript tests/witness/witness.R`: writes witness.json beside this script, or to
# the file named as the first argument. Needs sandwich, psych and jsonlite (Debian: r-cran-sandwich r-cran-psych r-cran-jsonlite).
suppressPackageStartupMessages({
  library(sandwich)
  library(jsonlite)
})

arguments <- commandArgs(trailingOnly = FALSE)
here <- dirname(sub("^--file=", "", grep("^--file=", arguments, value = TRUE)))
to <- c(commandArgs(trailingOnly = TRUE), file.path(here, "witness.json"))[1]
d <- read.csv(file.path(here, "witness.csv"), stringsAsFactors = FALSE)
items <- c("sat1", "sat2", "sat3")
d$satisfaction <- (rowMeans(d[, items]) - 1) / 9 * 100
held <- c("usage_data_gb", "list_price", "tenure_m", "prepaid")
terms <- c("retainability", "wait_s", "bill_errors", "call_failures")
n <- nrow(d)
G <- length(unique(d$site_id))

values <- list()
# the number, and the call that gave it, under one name
say <- function(name, call) {
  expression <- substitute(call)
  text <- gsub(" +", " ", paste(trimws(deparse(expression, width.cutoff = 500)), collapse = " "))
  values[[name]] <<- list(call = text, value = as.list(eval(expression, parent.frame())))
}

# -- helpers: what the packages at hand do not have
sites <- sort(unique(d$site_id))
without_each <- function(f, over) sapply(over, function(s) f(d[d$site_id != s, ]))
error_of <- function(left) sqrt((length(left) - 1) / length(left) * sum((left - mean(left))^2))
# jackknife over sites (Efron & Tibshirani 1993, chapter 11): t on G - 1, symmetric on the scale of `to`
jackknife <- function(f, to = identity, back = identity, level = 0.95, over = sites) {
  full <- f(d)
  left <- without_each(f, over)
  df <- length(over) - 1
  half <- qt(0.5 + level / 2, df) * error_of(to(left))
  list(estimate = full, std_error = error_of(left), conf_low = back(to(full) - half), conf_high = back(to(full) + half),
       p_value = 2 * pt(-abs(to(full)) / error_of(to(left)), df))
}
z_interval <- function(r, error) tanh(atanh(r) + c(-1, 1) * qnorm(0.975) * error)
textbook <- function(r, error, p) {
  ends <- z_interval(r, error)
  list(estimate = r, conf_low = ends[1], conf_high = ends[2], p_value = p)
}
formula_of <- function(y, x) if (length(x)) reformulate(x, y) else as.formula(paste(y, "~ 1"))
left_over <- function(data, y, x) resid(lm(formula_of(y, x), data))
partial <- function(data, y, x, given) cor(left_over(data, y, given), left_over(data, x, given))
ranked <- function(data) as.data.frame(lapply(data[, c("satisfaction", terms, held)], rank))
p_of_term <- function(data, y, x, given) summary(lm(formula_of(y, c(x, given)), data))$coefficients[2, 4]
alpha <- function(data) {
  S <- cov(data[, items])
  ncol(S) / (ncol(S) - 1) * (1 - sum(diag(S)) / sum(S))
}
r2 <- function(data, x) summary(lm(formula_of("satisfaction", x), data))$r.squared
adjusted_r2 <- function(data, x) summary(lm(formula_of("satisfaction", x), data))$adj.r.squared
permutations <- function(x) if (length(x) < 2) list(x) else do.call(c, lapply(x, function(i) lapply(permutations(setdiff(x, i)), function(p) c(i, p))))
# each block's gain in R2, averaged over all orders in which the blocks can enter
shares <- function(data, blocks) {
  names <- names(blocks)
  known <- list()
  worth <- function(chosen) {
    key <- paste(sort(chosen), collapse = "+")
    if (is.null(known[[key]])) known[[key]] <<- if (length(chosen)) r2(data, unlist(blocks[chosen])) else 0
    known[[key]]
  }
  known <- list()
  gains <- sapply(permutations(names), function(order) {
    steps <- sapply(seq_along(order), function(i) worth(order[seq_len(i)]))
    setNames(diff(c(0, steps)), order)[names]
  })
  gain <- rowMeans(gains)
  gain / sum(gain)
}
single <- setNames(as.list(terms), terms)
grouped <- list(network = c("retainability", "call_failures"), design = "bill_errors", operations = "wait_s")
all_shares <- function(blocks) lapply(c(list(d), lapply(sites, function(s) d[d$site_id != s, ])), shares, blocks)
shares_of <- list(single = all_shares(single), grouped = all_shares(grouped))
# the jackknife of one share, from the shares of everybody and those without each site
share_interval <- function(found, name) {
  each <- sapply(found, `[[`, name)
  half <- qt(0.975, G - 1) * error_of(qlogis(each[-1]))
  list(estimate = each[1], std_error = error_of(each[-1]), conf_low = plogis(qlogis(each[1]) - half), conf_high = plogis(qlogis(each[1]) + half))
}
net <- function(x) 100 * (mean(x >= 9) - mean(x <= 6))
net_variance <- function(x) 100^2 * (mean(x >= 9) + mean(x <= 6) - (mean(x >= 9) - mean(x <= 6))^2)
now <- function(data) data[data$period == "2026-10", ]
before <- function(data) data[data$period == "2026-09", ]
wald <- function(b, se, quantile) list(estimate = b, std_error = se, conf_low = b - quantile * se, conf_high = b + quantile * se)
clustered <- function(model, type) vcovCL(model, cluster = d$site_id, type = type, cadjust = TRUE)
clustered_slope <- function(model, term, type, step = 1) {
  wald(step * coef(model)[[term]], step * sqrt(clustered(model, type)[term, term]), qt(0.975, G - 1))
}
# a second fit from the first one's end: the weights that glm keeps are those of the step before its last
leaving <- function(x, start = NULL) {
  made <- glm(formula_of("churned", x), binomial, d, start = start, control = glm.control(epsilon = 1e-14, maxit = 100))
  if (is.null(start)) leaving(x, coef(made)) else made
}
odds <- function(found) list(estimate = exp(found$estimate), std_error = exp(found$estimate) * found$std_error, conf_low = exp(found$conf_low), conf_high = exp(found$conf_high))
# coefficients without each site, by one Newton step from those of everybody (Cameron & Miller 2015, CR3)
one_step <- function(model) {
  X <- model.matrix(model)
  step <- function(s) {
    keep <- d$site_id != s
    suppressWarnings(glm.fit(X[keep, , drop = FALSE], d$churned[keep], start = coef(model), family = binomial(), control = glm.control(maxit = 1)))$coefficients
  }
  t(sapply(sites, step))
}
jackknifed <- function(full, left) wald(full, error_of(left), qt(0.975, G - 1))
log_odds <- function(model, term, step = 1) jackknifed(step * coef(model)[[term]], step * one_step(model)[, term])
# average marginal effect per 1,000, and without each site: its rows left out, the coefficients moved to first order
average <- function(b, X, term, step, flag) {
  if (!flag) return(step * b[[term]] * plogis(drop(X %*% b)) * (1 - plogis(drop(X %*% b))))
  X1 <- X0 <- X
  X1[, term] <- 1
  X0[, term] <- 0
  plogis(drop(X1 %*% b)) - plogis(drop(X0 %*% b))
}
effect <- function(model, term, step = 1, flag = FALSE) {
  X <- model.matrix(model)
  b <- coef(model)
  each <- average(b, X, term, step, flag)
  # the gradient by central differences with one refinement (Richardson): no formula of ours
  slope <- function(j, h) (mean(average(b + h * (seq_along(b) == j), X, term, step, flag)) - mean(average(b - h * (seq_along(b) == j), X, term, step, flag))) / (2 * h)
  gradient <- sapply(seq_along(b), function(j) {
    h <- 1e-3 * max(abs(b[j]), 1 / sd(c(X[, j], 0, 1)))
    (4 * slope(j, h / 2) - slope(j, h)) / 3
  })
  left <- sapply(sites, function(s) mean(each[d$site_id != s])) + drop(sweep(one_step(model), 2, b) %*% gradient)
  jackknifed(1000 * mean(each), 1000 * left)
}
# the same with the model fitted anew without each site
refitted <- function(x, term, step = 1) {
  f <- function(data) {
    m <- glm(formula_of("churned", x), binomial, data, control = glm.control(epsilon = 1e-14, maxit = 100))
    1000 * mean(average(coef(m), model.matrix(m), term, step, FALSE))
  }
  jackknifed(f(d), without_each(f, sites))
}
# Wilson's interval with the n that would give the clustered error without clusters, and the quantile of t
wilson_clustered <- function(model) {
  share <- coef(model)[[1]]
  error <- max(sqrt(clustered(model, "HC0")[1, 1]), sqrt(share * (1 - share) / n))
  effective <- share * (1 - share) / error^2
  ends <- prop.test(share * effective, effective, conf.level = 2 * pnorm(qt(0.975, G - 1)) - 1, correct = FALSE)$conf.int
  list(estimate = share, std_error = error, conf_low = ends[1], conf_high = ends[2])
}
wilson <- function(k, m) setNames(as.list(c(k / m, prop.test(k, m, correct = FALSE)$conf.int)), c("estimate", "conf_low", "conf_high"))

# -- every row a customer of its own: textbook intervals
say("pearson", with(cor.test(d$satisfaction, d$retainability), list(estimate = estimate[[1]], conf_low = conf.int[1], conf_high = conf.int[2], p_value = p.value)))
rho <- cor(d$satisfaction, d$retainability, method = "spearman")
say("spearman", textbook(rho, sqrt((1 + rho^2 / 2) / (n - 3)), suppressWarnings(cor.test(d$satisfaction, d$retainability, method = "spearman", exact = FALSE))$p.value))
say("partial", textbook(partial(d, "satisfaction", "retainability", held), 1 / sqrt(n - 3 - length(held)), p_of_term(d, "satisfaction", "retainability", held)))
prho <- partial(ranked(d), "satisfaction", "retainability", held)
say("partial_rank", textbook(prho, sqrt((1 + prho^2 / 2) / (n - 3 - length(held))), p_of_term(ranked(d), "satisfaction", "retainability", held)))
say("false_discovery", setNames(p.adjust(sapply(terms, function(x) cor.test(d$satisfaction, d[[x]])$p.value), "BH"), terms))
a <- suppressWarnings(psych::alpha(d[, items], check.keys = FALSE))$total$raw_alpha
say("alpha", list(estimate = a, conf_low = 1 - (1 - a) * qf(0.975, n - 1, (n - 1) * 2), conf_high = 1 - (1 - a) * qf(0.025, n - 1, (n - 1) * 2)))
say("net_score", with(now(d), wald(net(recommend), sqrt(net_variance(recommend) / length(recommend)), qnorm(0.975))))
say("leavers", wilson(sum(d$churned), n))
ols <- lm(reformulate(c("retainability", "wait_s", "list_price"), "satisfaction"), d)
say("ols_hc1", wald(coef(ols)[["retainability"]], sqrt(vcovHC(ols, "HC1")["retainability", "retainability"]), qnorm(0.975)))

# -- neighbours of a site share its network: clustered intervals
say("pearson_sites", jackknife(function(data) cor(data$satisfaction, data$retainability), atanh, tanh))
say("pearson_sites_99", jackknife(function(data) cor(data$satisfaction, data$retainability), atanh, tanh, 0.99))
say("spearman_sites", jackknife(function(data) cor(data$satisfaction, data$retainability, method = "spearman"), atanh, tanh))
say("partial_sites", jackknife(function(data) partial(data, "satisfaction", "retainability", held), atanh, tanh))
say("partial_rank_sites", jackknife(function(data) partial(ranked(data), "satisfaction", "retainability", held), atanh, tanh))
say("within_segment_sites", jackknife(function(data) partial(data, "satisfaction", "wait_s", "value_segment"), atanh, tanh))
d$cell <- paste(d$site_id, d$period)
# sites without two rows in one month say nothing: they are no observations of this number
telling <- sort(unique(d$site_id[d$cell %in% names(which(table(d$cell) > 1))]))
say("within_site_month_sites", jackknife(function(data) partial(data, "satisfaction", "wait_s", "cell"), atanh, tanh, over = telling))
say("reliable_sites", jackknife(function(data) cor(data$satisfaction, data$retainability) / sqrt(alpha(data)), atanh, tanh))
say("alpha_sites", jackknife(alpha, function(x) -log(1 - x), function(x) 1 - exp(-x)))
for (term in terms) eval(bquote(say(.(paste0("share_", term)), share_interval(shares_of$single, .(term)))))
for (block in names(grouped)) eval(bquote(say(.(paste0("share_of_block_", block)), share_interval(shares_of$grouped, .(block)))))
say("r2_sites", jackknife(function(data) adjusted_r2(data, terms), function(x) -log(1 - x), function(x) 1 - exp(-x)))
say("r2_difference_sites", jackknife(function(data) adjusted_r2(data, terms) - adjusted_r2(data, grouped$network)))
say("ols_sites", clustered_slope(ols, "retainability", "HC1"))
crude <- leaving("satisfaction")
given <- leaving(c("satisfaction", held))
plan <- leaving(c("prepaid", setdiff(held, "prepaid")))
say("odds_crude_sites", odds(log_odds(crude, "satisfaction", 10)))
say("odds_given_sites", odds(log_odds(given, "satisfaction", 10)))
say("odds_by_formula_sites", odds(clustered_slope(given, "satisfaction", "HC1")))
say("effect_crude_sites", effect(crude, "satisfaction", 10))
say("effect_given_sites", effect(given, "satisfaction", 10))
say("effect_refitted_sites", refitted(c("satisfaction", held), "satisfaction", 10))
say("effect_of_flag_sites", effect(plan, "prepaid", flag = TRUE))
# sites without an answer of the month are no observations of it
say("net_score_sites", jackknife(function(data) net(now(data)$recommend), over = sort(unique(now(d)$site_id))))
say("net_change_sites", jackknife(function(data) net(now(data)$recommend) - net(before(data)$recommend)))
say("satisfaction_change_sites", jackknife(function(data) mean(now(data)$satisfaction) - mean(before(data)$satisfaction)))
say("leavers_sites", wilson_clustered(lm(churned ~ 1, d)))

packages <- sapply(c("sandwich", "psych", "jsonlite"), function(p) as.character(packageVersion(p)))
made <- list(r = R.version.string, packages = as.list(packages), values = values)
writeLines(toJSON(made, digits = I(15), auto_unbox = TRUE, pretty = 1), to)
