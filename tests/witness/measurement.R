# What R says of the answers in measurement.csv: reliabilities, factors, confirmatory models, distinctness.
# Run as Rscript tests/witness/measurement.R; make_measurement.py made the table.
source(file.path(dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))), "tools.R"))
suppressPackageStartupMessages({library(psych); library(lavaan); library(semTools); library(GPArotation)})
d <- read.csv(file.path(here, "measurement.csv"), stringsAsFactors = FALSE)
n <- nrow(d)
items <- function(stem, k) paste0(stem, 1:k)
res <- items("rater_res_", 4); ass <- items("rater_ass_", 4); tru <- items("trust", 3)
tan <- items("rater_tan_", 4); emp <- items("rater_emp_", 5)
seven <- c(res, ass, tru)
lower <- function(m) m[lower.tri(m)]

# one score
a <- alpha(d[, res], check.keys = FALSE)
say("alpha_others", c(a$total$std.alpha, a$total$`G6(smc)`, a$total$average_r, a$total$ase))
say("item_total_rest", a$item.stats$r.drop)
say("item_total_all", a$item.stats$raw.r)
say("alpha_dropped", a$alpha.drop$raw_alpha)
one <- paste("f =~", paste0("l", 1:4, "*", res, collapse = " + "))
one <- paste(c(one, paste0(res, " ~~ e", 1:4, "*", res), "true := (l1 + l2 + l3 + l4)^2", "omega := true / (true + e1 + e2 + e3 + e4)",
  paste0("s", 1:4, " := l", 1:4, "^2 / (l", 1:4, "^2 + e", 1:4, ")"), "ave := (s1 + s2 + s3 + s4) / 4",
  "common := (sqrt(s1) + sqrt(s2) + sqrt(s3) + sqrt(s4))^2", "cr := common / (common + 4 - s1 - s2 - s3 - s4)"), collapse = "\n")
fitted_one <- function(data) parameterEstimates(cfa(one, data, std.lv = TRUE))
of <- function(data, name, what = "est") { p <- fitted_one(data); p[p$label == name, what] }
say("omega", c(of(d, "omega"), of(d, "omega", "se")))
say("composite_reliability", c(of(d, "cr"), of(d, "cr", "se")))
say("ave", c(of(d, "ave"), of(d, "ave", "se")))
say("omega_observed", unname(compRelSEM(cfa(paste("f =~", paste(res, collapse = " + ")), d))))
left_out <- function(f) sapply(unique(d$site_id), function(s) f(d[d$site_id != s, ]))
jackknife <- function(f) { v <- left_out(f); b <- length(v); sqrt((b - 1) / b * sum((v - mean(v))^2)) }
say("omega_sites", c(of(d, "omega"), jackknife(function(x) of(x, "omega"))))

# how many factors, and which
r <- cor(d[, seven])
say("eigenvalues", eigen(r)$values)
say("kmo", KMO(r)$MSA)
say("bartlett", unlist(cortest.bartlett(r, n)[c("chisq", "df", "p.value")]))
set.seed(1)
pdf(NULL)
say("parallel", { options(mc.cores = 1); set.seed(1); p <- fa.parallel(d[, seven], fa = "pc", n.iter = 1000, sim = TRUE, quant = .95, plot = FALSE); c(p$ncomp, apply(p$values[, grep("^CSim|^Fsim|^C", colnames(p$values))], 2, quantile, .95)[1:3]) })
# oblimin's start matters to the last digits only where the search stops early
unrotated <- unclass(fa(r, 3, fm = "minres", rotate = "none", n.obs = n)$loadings)
say("minres", rowSums(unrotated^2))
turned <- function(f) { o <- order(-colSums(f$loadings^2)); l <- f$loadings[, o]; l <- sweep(l, 2, sign(colSums(l)), "*"); c(unclass(l)) }
say("oblimin", turned(oblimin(unrotated, eps = 1e-7, maxit = 10000)))
say("varimax", turned(varimax(unrotated, eps = 1e-12)))
say("promax", turned(promax(unrotated)))

# the model of the scores
three <- paste("responsiveness =~", paste(res, collapse = "+"), "\nassurance =~", paste(ass, collapse = "+"), "\ntrust =~", paste(tru, collapse = "+"))
ml <- cfa(three, d)
mlr <- cfa(three, d, estimator = "MLR")
clustered <- cfa(three, d, estimator = "MLR", cluster = "site_id")
std <- function(f, what) { s <- standardizedSolution(f); s[s$op == "=~" | (s$op == "~~" & s$lhs != s$rhs & s$lhs %in% c("responsiveness", "assurance", "trust", "tangibles", "empathy")), what] }
say("cfa_parameters", std(ml, "est.std"))
say("cfa_errors_robust", std(mlr, "se"))
say("cfa_errors_sites", std(clustered, "se"))
normal <- c("chisq", "df", "pvalue", "cfi", "tli", "rmsea", "rmsea.ci.lower", "rmsea.ci.upper", "srmr", "aic", "bic")
say("cfa_fit", unname(fitMeasures(ml, normal)))
scaled <- c("chisq.scaled", "pvalue.scaled", "cfi.robust", "tli.robust", "rmsea.robust", "rmsea.ci.lower.robust", "rmsea.ci.upper.robust")
say("cfa_fit_robust", unname(fitMeasures(mlr, scaled)))
say("cfa_fit_sites", unname(fitMeasures(clustered, scaled)))
say("cfa_one_factor", unname(fitMeasures(cfa(paste("f =~", paste(seven, collapse = "+")), d, estimator = "MLR"), scaled)))
say("htmt", lower(htmt(three, d, htmt2 = FALSE)))
say("htmt2", lower(htmt(three, d, htmt2 = TRUE)))
alike <- function(equal) unname(fitMeasures(cfa(three, d, group = "value_segment", group.equal = equal), c("chisq", "df", "cfi")))
say("configural", alike(""))
say("metric", alike("loadings"))
say("scalar", alike(c("loadings", "intercepts")))

# ordered answers
two <- paste("tangibles =~", paste(tan, collapse = "+"), "\nempathy =~", paste(emp, collapse = "+"))
wls <- cfa(two, d, ordered = c(tan, emp), estimator = "WLSM", std.lv = TRUE)
say("ordered_parameters", std(wls, "est.std"))
say("ordered_errors", std(wls, "se"))
say("ordered_fit", unname(fitMeasures(wls, c("chisq.scaled", "df", "srmr"))))

# what colours all answers
say("straight_line", mean(apply(d[, res], 1, function(x) length(unique(x)) == 1)))
m <- cor(d[, seven], d$marker_item)[, 1]
other <- lower(outer(rep(1:3, c(4, 4, 3)), rep(1:3, c(4, 4, 3)), "!="))
say("marker_item", c(mean(m), mean(lower(outer(m, m))[other]) / mean(lower(r)[other])))
write_witness(c("psych", "lavaan", "semTools", "GPArotation"))
