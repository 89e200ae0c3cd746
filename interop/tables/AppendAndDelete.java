import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.iceberg.DataFile;
import org.apache.iceberg.DataFiles;
import org.apache.iceberg.DeleteFile;
import org.apache.iceberg.FileMetadata;
import org.apache.iceberg.FileFormat;
import org.apache.iceberg.FileScanTask;
import org.apache.iceberg.ManifestContent;
import org.apache.iceberg.ManifestFile;
import org.apache.iceberg.PartitionSpec;
import org.apache.iceberg.Snapshot;
import org.apache.iceberg.Table;
import org.apache.iceberg.catalog.Namespace;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.io.CloseableIterable;
import org.apache.iceberg.rest.RESTCatalog;

/**
 * Has Iceberg's Java library write a manifest and a list of manifests of the same kinds as each table has, and says where all lie:
 * AppendAndDelete URI WAREHOUSE NAMESPACE TABLE...
 */
public class AppendAndDelete {
  public static void main(String[] args) throws Exception {
    ObjectMapper json = new ObjectMapper();
    ObjectNode answer = json.createObjectNode();
    try (RESTCatalog catalog = new RESTCatalog()) {
      catalog.initialize("main", Map.of(
          "uri", args[0], "warehouse", args[1], "io-impl", "org.apache.iceberg.hadoop.HadoopFileIO"));
      for (String name : List.of(args).subList(3, args.length)) {
        Table table = catalog.loadTable(TableIdentifier.of(Namespace.of(args[2]), name));
        ObjectNode both = answer.putObject(name);
        Snapshot ours = table.currentSnapshot();
        List<ManifestFile> ourManifests = ours.allManifests(table.io());
        list(both.putObject("ours"), ours, ourManifests);
        append(table);
        ManifestFile deletes = ourManifests.stream()
            .filter(manifest -> manifest.content() == ManifestContent.DELETES).findFirst().orElse(null);
        if (deletes != null) delete(table, table.specs().get(deletes.partitionSpecId()));
        Snapshot theirs = table.currentSnapshot();
        Set<String> known = ourManifests.stream().map(ManifestFile::path).collect(Collectors.toSet());
        list(both.putObject("java"), theirs, theirs.allManifests(table.io()).stream()
            .filter(manifest -> !known.contains(manifest.path())).toList());
      }
    }
    System.out.println("ANSWER " + json.writeValueAsString(answer));
  }

  /** One more file that is described as one of the table's; nobody reads it. */
  private static void append(Table table) throws Exception {
    try (CloseableIterable<FileScanTask> tasks = table.newScan().includeColumnStats().planFiles()) {
      FileScanTask task = tasks.iterator().next();
      DataFile file = DataFiles.builder(task.spec()).copy(task.file()).withPath(task.file().location() + "-copy").build();
      table.newFastAppend().appendFile(file).commit();
    }
  }

  private static void delete(Table table, PartitionSpec spec) {
    int[] key = table.schema().identifierFieldIds().stream().mapToInt(Integer::intValue).toArray();
    DeleteFile file = FileMetadata.deleteFileBuilder(spec)
        .ofEqualityDeletes(key)
        .withPath(table.location() + "/data/nobody-reads-this.parquet")
        .withFormat(FileFormat.PARQUET)
        .withFileSizeInBytes(1)
        .withRecordCount(1)
        .build();
    table.newRowDelta().addDeletes(file).commit();
  }

  private static void list(ObjectNode into, Snapshot snapshot, List<ManifestFile> manifests) {
    into.put("list", snapshot.manifestListLocation());
    ArrayNode paths = into.putArray("manifests");
    for (ManifestFile manifest : manifests) paths.add(manifest.path());
  }
}
