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
import org.elasticsearch.cluster.metadata.IndexNameExpressionResolver;
import org.elasticsearch.cluster.metadata.Metadata;
import org.elasticsearch.cluster.metadata.MetadataDeleteIndexService;
import org.elasticsearch.cluster.metadata.MetadataIndexTemplateService;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.IndexScopedSettings;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.settings.SettingsFilter;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.index.Index;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.RestController;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xpack.core.ilm.IndexLifecycleMetadata;

/** What of the cluster state the shim needs, as Elasticsearch 8 has it; src9 is the same for Elasticsearch 9. */
abstract class Cluster extends Plugin implements ActionPlugin {
    abstract List<RestHandler> handlers(Settings settings);

    @Override
    public Collection<RestHandler> getRestHandlers(Settings settings, NamedWriteableRegistry nwr, RestController rc, ClusterSettings cls,
            IndexScopedSettings iss, SettingsFilter sf, IndexNameExpressionResolver resolver, Supplier<DiscoveryNodes> nodes, Predicate<NodeFeature> features) {
        return handlers(settings);
    }

    static NamedXContentRegistry.Entry policiesEntry() {
        return new NamedXContentRegistry.Entry(Metadata.Custom.class, new ParseField(IndexLifecycleMetadata.TYPE), p -> IndexLifecycleMetadata.PARSER.parse(p, null));
    }

    static Map<String, DataStream> dataStreams(ClusterState s) { return s.metadata().dataStreams(); }

    static boolean exists(ClusterState s, String name) { return s.metadata().getIndicesLookup().containsKey(name); }

    /** The composable template that a name matches; null if there is none. */
    static String template(ClusterState s, String name) { return MetadataIndexTemplateService.findV2Template(s.metadata(), name, false); }

    static boolean makesDataStreams(ClusterState s, String template) { return s.metadata().templatesV2().get(template).getDataStreamTemplate() != null; }

    static String health(ClusterState s, DataStream d) {
        return new ClusterStateHealth(s, d.getIndices().stream().map(Index::getName).toArray(String[]::new)).getStatus().name();
    }

    static ClusterState without(ClusterState s, Map<String, DataStream> streams, Settings settings) {
        Metadata.Builder mb = Metadata.builder(s.metadata());
        Set<Index> gone = new HashSet<>();
        streams.forEach((n, d) -> { mb.removeDataStream(n); gone.addAll(d.getIndices()); gone.addAll(d.getFailureIndices()); });
        return MetadataDeleteIndexService.deleteIndices(ClusterState.builder(s).metadata(mb).build(), gone, settings);
    }

    static IndexLifecycleMetadata lifecycle(ClusterState s) { return s.metadata().custom(IndexLifecycleMetadata.TYPE); }

    static ClusterState withLifecycle(ClusterState s, IndexLifecycleMetadata m) {
        return ClusterState.builder(s).metadata(Metadata.builder(s.metadata()).putCustom(IndexLifecycleMetadata.TYPE, m)).build();
    }
}
