-- duckdb < examples/checkpoints.sql: the median pause of each run after its warm-up, in ms
SELECT run_id, count(*) AS checkpoints, 1000 * median(pause_s) AS pause_ms
FROM 'results/demo/runs/*/checkpoints.parquet' WHERE NOT warmup GROUP BY run_id ORDER BY run_id;
