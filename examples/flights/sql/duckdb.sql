-- duckdb, with the iceberg extension. ATTACH 'main' AS lake (TYPE iceberg, ENDPOINT 'http://127.0.0.1:8181', AUTHORIZATION_TYPE 'none');
SELECT origin, count(*) AS flights, round(avg(delay), 1) AS delay
FROM lake.lake.flights
GROUP BY origin
ORDER BY flights DESC, origin
LIMIT 10;
