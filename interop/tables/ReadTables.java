import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/** Reads tables with Flink's Table API in batch mode, within this JVM: what read.py does with other engines, in its words. */
public class ReadTables {
  public static void main(String[] args) throws Exception {
    ObjectMapper json = new ObjectMapper();
    JsonNode request = json.readTree(System.in);
    Configuration settings = new Configuration();
    settings.setString("table.local-time-zone", "UTC");
    settings.setString("parallelism.default", "1");
    settings.setString("rest.bind-port", "0");
    settings.setString("taskmanager.numberOfTaskSlots", "2");
    settings.setString("taskmanager.memory.network.min", "16mb");
    settings.setString("taskmanager.memory.network.max", "16mb");
    settings.setString("taskmanager.memory.managed.size", "64mb");
    TableEnvironment tables =
        TableEnvironment.create(EnvironmentSettings.newInstance().inBatchMode().withConfiguration(settings).build());
    ObjectNode answers = json.createObjectNode();
    Map<String, String> broken = new TreeMap<>();
    request.get("catalogs").fields().forEachRemaining(catalog -> {
      try {
        tables.executeSql("CREATE CATALOG " + catalog.getKey() + " WITH (" + options(catalog.getValue()) + ")");
      } catch (Exception error) {
        broken.put(catalog.getKey(), text(error));
      }
    });
    for (JsonNode job : request.get("jobs")) {
      ObjectNode answer = answers.putObject(job.get("id").asText());
      String cause = broken.get(job.get("catalog").asText());
      if (cause != null) {
        answer.put("error", cause);
        continue;
      }
      try {
        read(tables, job, answer);
      } catch (Exception error) {
        answer.put("error", text(error));
      }
    }
    System.out.println("ANSWER " + json.writeValueAsString(answers));
    System.exit(0); // The cluster within keeps threads.
  }

  private static String options(JsonNode properties) {
    Map<String, String> all = new TreeMap<>(Map.of("type", "iceberg"));
    properties.fields().forEachRemaining(each ->
        all.put(each.getKey().equals("type") ? "catalog-type" : each.getKey(), each.getValue().asText()));
    return all.entrySet().stream()
        .map(each -> "'" + each.getKey() + "'='" + each.getValue().replace("'", "''") + "'")
        .collect(Collectors.joining(", "));
  }

  private static void read(TableEnvironment tables, JsonNode job, ObjectNode answer) throws Exception {
    String columns = stream(job.get("columns"))
        .map(column -> "`" + column.get("name").asText() + "`")
        .collect(Collectors.joining(", "));
    String table = job.get("catalog").asText() + "." + job.get("namespace").asText() + "." + job.get("table").asText();
    long rows = 0;
    long sum = 0;
    long[] sums = new long[job.get("columns").size()];
    try (CloseableIterator<Row> all = tables.executeSql("SELECT " + columns + " FROM " + table).collect()) {
      while (all.hasNext()) {
        Row row = all.next();
        String[] texts = IntStream.range(0, sums.length).mapToObj(at -> canonical(row.getField(at))).toArray(String[]::new);
        sum += digest(String.join("\u001f", texts));
        for (int at = 0; at < sums.length; at += 1) sums[at] += digest(texts[at]);
        rows += 1;
      }
    }
    answer.put("rows", rows);
    answer.put("checksum", String.format("%016x", sum));
    ObjectNode each = answer.putObject("columns");
    for (int at = 0; at < sums.length; at += 1)
      each.put(job.get("columns").get(at).get("name").asText(), String.format("%016x", sums[at]));
  }

  private static long digest(String text) throws Exception {
    byte[] bytes = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
    return ByteBuffer.wrap(bytes).getLong();
  }

  /** As interop/canonical.py says. */
  private static String canonical(Object value) {
    if (value == null) return "~";
    if (value instanceof Boolean each) return each ? "t" : "f";
    if (value instanceof Float || value instanceof Double)
      return "d" + String.format("%016x", Double.doubleToLongBits(((Number) value).doubleValue()));
    if (value instanceof BigDecimal each) return "n" + (each.signum() == 0 ? "0" : each.stripTrailingZeros().toPlainString());
    if (value instanceof Number) return "i" + value;
    if (value instanceof String each) return "s" + each.getBytes(StandardCharsets.UTF_8).length + ":" + each;
    if (value instanceof byte[] each) return "b" + HexFormat.of().formatHex(each);
    if (value instanceof LocalDate each) return "D" + each.toEpochDay();
    if (value instanceof LocalTime each) return "H" + each.toNanoOfDay() / 1000;
    if (value instanceof LocalDateTime each) return canonical(each.toInstant(ZoneOffset.UTC));
    if (value instanceof Instant each) return "T" + (each.getEpochSecond() * 1_000_000 + each.getNano() / 1000);
    if (value instanceof Object[] each) return joined("[", Stream.of(each).map(ReadTables::canonical), "]");
    if (value instanceof Row each)
      return joined("{", IntStream.range(0, each.getArity()).mapToObj(at -> canonical(each.getField(at))), "}");
    if (value instanceof Map<?, ?> each)
      return joined("[", new TreeMap<>(each).entrySet().stream()
          .map(entry -> "{" + canonical(entry.getKey()) + "," + canonical(entry.getValue()) + "}"), "]");
    throw new IllegalArgumentException("no canonical form for " + value.getClass());
  }

  private static String joined(String open, Stream<String> items, String close) {
    return items.collect(Collectors.joining(",", open, close));
  }

  private static Stream<JsonNode> stream(JsonNode array) {
    return IntStream.range(0, array.size()).mapToObj(array::get);
  }

  /** The message of the innermost cause: what lies around it is Flink's own way to it. */
  private static String text(Throwable error) {
    Throwable cause = error;
    while (cause.getCause() != null) cause = cause.getCause();
    return cause.getClass().getSimpleName() + ": " + cause.getMessage();
  }
}
