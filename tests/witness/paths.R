# Path models, mediation and hidden causes on witness.csv, in plain R: `Rscript tests/witness/paths.R` writes paths.json.
script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
source(file.path(dirname(script), "tools.R"))
sites <- sort(unique(d$site_id))
G <- length(sites)

# -- jackknife over sites of a vector of numbers: t on G - 1, on the scale of `to`
jackknife <- function(f, to = identity, back = identity) {
  full <- f(d)
  left <- rbind(sapply(sites, function(s) f(d[d$site_id != s, ])))
  error <- function(x) sqrt((G - 1) / G * rowSums((x - rowMeans(x))^2))
  half <- qt(0.975, G - 1) * error(to(left))
  made <- list(estimate = full, std_error = error(left), conf_low = back(to(full) - half), conf_high = back(to(full) + half))
  as.list(unlist(lapply(made, unname)))  # estimate1, estimate2, …
}

# -- path model on rows, as Lohmoeller's program does it: scores, inner estimates, new weights, until nothing moves
items <- list(network = c("call_failures", "bill_errors", "wait_s"), price = c("list_price", "usage_data_gb"),
              satisfaction = c("sat1", "sat2", "sat3"), recommend = "recommend")
leads <- list(satisfaction = c("network", "price"), recommend = c("network", "satisfaction"))
unit <- function(x) drop(x) / sqrt(mean((drop(x) - mean(x))^2))
neighbours <- function(j) union(leads[[j]], names(leads)[sapply(leads, function(x) j %in% x)])
inner <- function(j, scores, scheme) {
  near <- neighbours(j)
  e <- setNames(numeric(length(near)), near)
  for (i in near) {
    r <- cor(scores[, i], scores[, j])
    e[i] <- switch(scheme, factorial = r, centroid = sign(r), path = r)
  }
  if (scheme == "path" && !is.null(leads[[j]])) {
    e[leads[[j]]] <- coef(lm(scores[, j] ~ scores[, leads[[j]], drop = FALSE]))[-1]
  }
  drop(scores[, near, drop = FALSE] %*% e)
}
pls <- function(data, scheme, raw = FALSE) {
  x <- scale(as.matrix(data[, unlist(items)]), scale = FALSE)
  if (!raw) x <- apply(x, 2, unit)
  scores <- sapply(items, function(of) unit(rowSums(apply(x[, of, drop = FALSE], 2, unit))))
  for (step in 1:500) {
    new <- sapply(names(items), function(j) {
      z <- inner(j, scores, scheme)
      of <- x[, items[[j]], drop = FALSE]
      y <- unit(of %*% (t(of) %*% z))
      y * sign(sum(cor(of, y)))
    })
    if (max(abs(new - scores)) < 1e-13) break
    scores <- new
  }
  weights <- lapply(names(items), function(j) coef(lm(scores[, j] ~ x[, items[[j]], drop = FALSE]))[-1])
  list(scores = scores, weights = setNames(weights, names(items)), x = x)
}
of_correlations <- function(r) {
  on <- function(y, x) solve(r[x, x], r[x, y])
  sat <- on("satisfaction", leads$satisfaction)
  rec <- on("recommend", leads$recommend)
  c(sat = sat, rec = rec, total = unname(rec["network"] + sat["network"] * rec["satisfaction"]),
    r2 = sum(rec * r[leads$recommend, "recommend"]))
}
# the last number is R2: symmetric in the logarithm of what is left to 1
last <- function(x, f) { x <- as.matrix(x); x[nrow(x), ] <- f(x[nrow(x), ]); x }
of_model <- function(f) jackknife(f, function(x) last(x, function(v) -log(1 - v)), function(x) last(x, function(v) 1 - exp(-v)))
paths <- function(scheme, raw = FALSE) function(data) of_correlations(cor(pls(data, scheme, raw)$scores))
reliability <- function(model, j) {
  w <- model$weights[[j]]
  if (length(w) == 1) return(1)
  s <- cor(model$x[, items[[j]]])
  ww <- w %o% w
  diag(s) <- diag(ww) <- 0
  sum(w^2)^2 * drop(w %*% s %*% w) / drop(w %*% ww %*% w)
}
# what has no reliability cannot be corrected for it: the network stands for its failed calls here
consistent <- function(data) {
  items$network <<- "call_failures"
  model <- pls(data, "path")
  rho <- sapply(names(items), function(j) reliability(model, j))
  r <- cor(model$scores) / sqrt(rho %o% rho)
  diag(r) <- 1
  of_correlations(r)
}
# importance and performance: weights of the items in points of 100, adding up to 1
points <- function(data) {
  model <- pls(data, "path")
  x <- cbind((data[, items$satisfaction] - 1) / 9, recommend = data$recommend / 10) * 100
  own <- model$weights$satisfaction / apply(x[, items$satisfaction], 2, function(v) sqrt(mean((v - mean(v))^2)))
  score <- as.matrix(x[, items$satisfaction]) %*% (own / sum(own))
  path <- of_correlations(cor(model$scores))[["rec.satisfaction"]]
  c(mean = mean(score), slope = path * sd(x$recommend) / sd(score))
}
say("path", of_model(paths("path")))
say("factorial", of_model(paths("factorial")))
say("raw_centroid", of_model(paths("centroid", raw = TRUE)))
say("points", jackknife(points))
say("consistent", of_model(consistent))

# -- what goes through failed calls from retainability to satisfaction, for a hundredth more of it
on <- satisfaction ~ retainability + list_price + tenure_m
parts <- function(data) {
  a <- coef(lm(update(on, call_failures ~ .), data))[["retainability"]] / 100
  y <- coef(lm(update(on, . ~ . + call_failures), data))
  b <- y[["call_failures"]]
  c(total = a * b + y[["retainability"]] / 100, direct = y[["retainability"]] / 100, indirect = a * b, a = a, b = b)
}
between <- function(data) cor(resid(lm(update(on, call_failures ~ .), data)), resid(lm(on, data)))
say("parts", jackknife(parts))
say("share", jackknife(function(data) parts(data)[["indirect"]] / parts(data)[["total"]]))
say("hidden_r", jackknife(between, atanh, tanh))
sobel <- function() {
  m <- summary(lm(update(on, call_failures ~ .), d))$coefficients["retainability", ] / 100
  y <- summary(lm(update(on, . ~ . + call_failures), d))$coefficients["call_failures", ]
  estimate <- m[[1]] * y[[1]]
  error <- sqrt(m[[1]]^2 * y[[2]]^2 + y[[1]]^2 * m[[2]]^2)
  list(estimate = estimate, std_error = error, conf_low = estimate - qnorm(0.975) * error,
       conf_high = estimate + qnorm(0.975) * error, p_value = 2 * pnorm(-abs(estimate / error)))
}
say("sobel", sobel())

# -- a hidden cause of retainability and satisfaction (Cinelli & Hazlett 2020)
partial_r2 <- function(model, term) {
  t <- summary(model)$coefficients[term, 3]
  t^2 / (t^2 + df.residual(model))
}
value <- function(f) (sqrt(f^4 + 4 * f^2) - f^2) / 2
hidden <- function() {
  r2 <- partial_r2(lm(on, d), "retainability")
  total <- jackknife(function(data) parts(data)[["total"]])
  near <- max(0, min(total$conf_low / total$estimate, total$conf_high / total$estimate))
  list(estimate = value(sqrt(r2 / (1 - r2))), effect = value(near * sqrt(r2 / (1 - r2))))
}
as_strong_as <- function(known) {
  whole <- lm(on, d)
  est <- summary(whole)$coefficients["retainability", 1:2] / 100
  df <- df.residual(whole)
  rx <- partial_r2(lm(update(on, retainability ~ . - retainability), d), known)
  ry <- partial_r2(whole, known)
  dz <- rx / (1 - rx)
  zx <- rx^2 / ((1 - rx) * (1 - rx))
  yz <- ((1 + sqrt(zx)) / sqrt(1 - zx))^2 * ry / (1 - ry)
  sign(est[[1]]) * (abs(est[[1]]) - est[[2]] * sqrt(yz * dz / (1 - dz) * df))
}
say("hidden", hidden())
say("as_strong", list(list_price = as_strong_as("list_price"), tenure_m = as_strong_as("tenure_m")))

# -- what goes through satisfaction from retainability, and from prepaid, to leaving: averaged over a fine grid of the residual
e <- seq(-8, 8, length.out = 401)
mass <- dnorm(e) / sum(dnorm(e))
leaving <- function(term) function(data) {
  m <- lm(reformulate(c(term, "list_price"), "satisfaction"), data)
  y <- glm(reformulate(c("satisfaction", term, "list_price"), "churned"), binomial, data, control = list(epsilon = 1e-14))
  at <- if (term == "prepaid") list(0 * data$prepaid, 0 * data$prepaid + 1) else list(data[[term]], data[[term]] + 0.01)
  share <- function(x, met) {
    between <- outer(predict(m, replace(data, term, list(met))), sigma(m) * e, "+")
    k <- coef(y)
    mean(plogis(k[[1]] + k[["satisfaction"]] * between + k[[term]] * x + k[["list_price"]] * data$list_price) %*% mass)
  }
  s <- function(i, j) 1000 * share(at[[i]], at[[j]])
  indirect <- (s(1, 2) - s(1, 1) + s(2, 2) - s(2, 1)) / 2
  direct <- (s(2, 1) - s(1, 1) + s(2, 2) - s(1, 2)) / 2
  c(total = indirect + direct, direct = direct, indirect = indirect)
}
say("leaving", jackknife(leaving("retainability")))
say("leaving_of_flag", jackknife(leaving("prepaid")))
e_value <- function(rr) {
  rr <- max(rr, 1 / rr)
  rr + sqrt(rr * (rr - 1))
}
say("e_value", e_value(1 + leaving("retainability")(d)[["total"]] / 1000 / mean(d$churned)))
write_witness("jsonlite")
