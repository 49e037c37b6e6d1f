# What every witness script shares: the table, a number with the call that gave it, and the file that is written.
# A script starts with: source(file.path(dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))), "tools.R"))
suppressPackageStartupMessages(library(jsonlite))

script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
here <- dirname(script)
d <- read.csv(file.path(here, "witness.csv"), stringsAsFactors = FALSE)
d$satisfaction <- (rowMeans(d[, c("sat1", "sat2", "sat3")]) - 1) / 9 * 100

values <- list()
# the number, and the call that gave it, under one name
say <- function(name, call) {
  expression <- substitute(call)
  text <- gsub(" +", " ", paste(trimws(deparse(expression, width.cutoff = 500)), collapse = " "))
  values[[name]] <<- list(call = text, value = as.list(eval(expression, parent.frame())))
}

# writes <script>.json beside the script, or the file named as the first argument
write_witness <- function(packages) {
  to <- c(commandArgs(trailingOnly = TRUE), sub("\\.R$", ".json", script))[1]
  versions <- sapply(packages, function(p) as.character(packageVersion(p)))
  made <- list(r = R.version.string, packages = as.list(versions), values = values)
  writeLines(toJSON(made, digits = I(15), auto_unbox = TRUE, pretty = 1, na = "null"), to)
}
