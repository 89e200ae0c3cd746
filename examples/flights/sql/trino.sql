-- trino, catalog `lake` with connector.name=iceberg and iceberg.catalog.type=rest
SELECT origin, count(*) AS flights, round(avg(delay), 1) AS delay
FROM lake.lake.flights
GROUP BY origin
ORDER BY flights DESC, origin
LIMIT 10;
