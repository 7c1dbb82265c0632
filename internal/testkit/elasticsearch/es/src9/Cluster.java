package gatebook;

import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.function.Supplier;

import org.elasticsearch.cluster.ClusterState;
import org.elasticsearch.cluster.health.ClusterStateHealth;
import org.elasticsearch.cluster.metadata.DataStream;
import org.elasticsearch.cluster.metadata.Metadata;
import org.elasticsearch.cluster.metadata.MetadataDeleteIndexService;
import org.elasticsearch.cluster.metadata.MetadataIndexTemplateService;
import org.elasticsearch.cluster.metadata.ProjectId;
import org.elasticsearch.cluster.metadata.ProjectMetadata;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.index.Index;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xpack.core.ilm.IndexLifecycleMetadata;

/** What of the cluster state the shim needs, as Elasticsearch 9 has it: in projects, of which a cluster has one. */
abstract class Cluster extends Plugin implements ActionPlugin {
    abstract List<RestHandler> handlers(Settings settings);

    @Override
    public Collection<RestHandler> getRestHandlers(RestHandlersServices services, Supplier<DiscoveryNodes> nodes, Predicate<NodeFeature> features) {
        return handlers(services.settings());
    }

    static NamedXContentRegistry.Entry policiesEntry() {
        return new NamedXContentRegistry.Entry(Metadata.ProjectCustom.class, new ParseField(IndexLifecycleMetadata.TYPE), p -> IndexLifecycleMetadata.PARSER.parse(p, null));
    }

    private static ProjectMetadata project(ClusterState s) { return s.metadata().getProject(ProjectId.DEFAULT); }

    static Map<String, DataStream> dataStreams(ClusterState s) { return project(s).dataStreams(); }

    static boolean exists(ClusterState s, String name) { return project(s).getIndicesLookup().containsKey(name); }

    /** The composable template that a name matches; null if there is none. */
    static String template(ClusterState s, String name) { return MetadataIndexTemplateService.findV2Template(project(s), name, false); }

    static boolean makesDataStreams(ClusterState s, String template) { return project(s).templatesV2().get(template).getDataStreamTemplate() != null; }

    static String health(ClusterState s, DataStream d) {
        return new ClusterStateHealth(s, d.getIndices().stream().map(Index::getName).toArray(String[]::new), ProjectId.DEFAULT).getStatus().name();
    }

    static ClusterState without(ClusterState s, Map<String, DataStream> streams, Settings settings) {
        ProjectMetadata.Builder pb = ProjectMetadata.builder(project(s));
        Set<Index> gone = new HashSet<>();
        streams.forEach((n, d) -> { pb.removeDataStream(n); gone.addAll(d.getIndices()); gone.addAll(d.getFailureIndices()); });
        ClusterState left = ClusterState.builder(s).putProjectMetadata(pb).build();
        return MetadataDeleteIndexService.deleteIndices(left.projectState(ProjectId.DEFAULT), gone, settings);
    }

    static IndexLifecycleMetadata lifecycle(ClusterState s) { return project(s).custom(IndexLifecycleMetadata.TYPE); }

    static ClusterState withLifecycle(ClusterState s, IndexLifecycleMetadata m) {
        return ClusterState.builder(s).putProjectMetadata(ProjectMetadata.builder(project(s)).putCustom(IndexLifecycleMetadata.TYPE, m)).build();
    }
}
