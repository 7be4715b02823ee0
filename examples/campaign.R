# Rscript examples/campaign.R results/demo: the median pause of each sound run, in ms, then the range per cell
library(arrow)
library(dplyr)

folder <- commandArgs(trailingOnly = TRUE)[1]
runs <- open_dataset(Sys.glob(file.path(folder, "runs", "*", "checkpoints.parquet"))) |>
  filter(!warmup) |>
  select(run_id, pause_s) |>
  collect() |>
  group_by(run_id) |>
  summarise(checkpoints = n(), pause_ms = 1000 * median(pause_s))
index <- read.csv(file.path(folder, "index.csv"), colClasses = "character") # an id may look like a number
runs |>
  inner_join(index[index$quality_ok == "true", c("run_id", "cell_id")], by = "run_id") |>
  group_by(cell_id) |>
  summarise(runs = n(), lowest_ms = min(pause_ms), median_ms = median(pause_ms), highest_ms = max(pause_ms)) |>
  print(n = Inf)
