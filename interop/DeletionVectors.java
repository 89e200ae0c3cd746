import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Scanner;
import org.apache.iceberg.deletes.Deletes;
import org.apache.iceberg.inmemory.InMemoryOutputFile;
import org.apache.iceberg.io.CloseableIterable;
import org.apache.iceberg.puffin.Blob;
import org.apache.iceberg.puffin.Puffin;
import org.apache.iceberg.puffin.PuffinWriter;

/**
 * Writes deletion vectors as the reference does. A line of input is the rows of one vector, as ranges: "1-1 5-9"; an empty one is
 * a vector without rows. A line of output is that vector; the last one is a Puffin file with all of them, the n-th for
 * "s3://lake/<n>.parquet".
 */
public class DeletionVectors {
  public static void main(String[] args) throws Exception {
    InMemoryOutputFile file = new InMemoryOutputFile();
    try (PuffinWriter puffin = Puffin.write(file).createdBy("Inlet test").build();
        Scanner lines = new Scanner(System.in)) {
      for (int index = 0; lines.hasNextLine(); index += 1) {
        List<Long> rows = rowsOf(lines.nextLine());
        byte[] vector = vectorOf(rows);
        System.out.println(Base64.getEncoder().encodeToString(vector));
        Map<String, String> properties = new LinkedHashMap<>();
        properties.put("referenced-data-file", "s3://lake/" + index + ".parquet");
        properties.put("cardinality", String.valueOf(rows.size()));
        puffin.write(
            new Blob(
                "deletion-vector-v1", List.of(2147483645), -1, -1, ByteBuffer.wrap(vector), null, properties));
      }
    }
    System.out.println(Base64.getEncoder().encodeToString(file.toByteArray()));
  }

  private static List<Long> rowsOf(String line) {
    List<Long> rows = new ArrayList<>();
    for (String range : line.trim().split(" ")) {
      if (range.isEmpty()) continue;
      String[] ends = range.split("-");
      for (long row = Long.parseLong(ends[0]); row <= Long.parseLong(ends[1]); row += 1) rows.add(row);
    }
    return rows;
  }

  private static byte[] vectorOf(List<Long> rows) {
    ByteBuffer buffer = Deletes.toPositionIndex(CloseableIterable.withNoopClose(rows)).serialize();
    byte[] bytes = new byte[buffer.remaining()];
    buffer.get(bytes);
    return bytes;
  }
}
