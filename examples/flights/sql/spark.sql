-- spark-sql, catalog `lake` of class org.apache.iceberg.spark.SparkCatalog and type rest
SELECT origin, count(*) AS flights, round(avg(delay), 1) AS delay
FROM lake.lake.flights
GROUP BY origin
ORDER BY flights DESC, origin
LIMIT 10;
