SELECT properties.magType AS kind, count(*) AS quakes, max(properties.mag) AS strongest
FROM lake.lake.earthquakes
GROUP BY ALL
ORDER BY quakes DESC, kind
LIMIT 10;
