package gatebook;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;

import org.elasticsearch.Build;
import org.elasticsearch.ResourceNotFoundException;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.admin.indices.create.AutoCreateAction;
import org.elasticsearch.action.admin.indices.create.CreateIndexRequest;
import org.elasticsearch.cluster.ClusterState;
import org.elasticsearch.cluster.ClusterStateUpdateTask;
import org.elasticsearch.cluster.metadata.DataStream;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.regex.Regex;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.index.Index;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.ToXContent;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xpack.core.ilm.*;

/**
 * Plugin of the tests only. The published minimal distribution lacks the modules that own the REST endpoints
 * _data_stream and _ilm. The server itself knows both kinds of cluster metadata, so this plugin only adds
 * thin endpoints over that metadata: _data_stream GET/PUT/DELETE are real data streams; _ilm policies are
 * parsed, validated and stored by Elastic's own classes, but NOTHING EXECUTES THEM (status says STOPPED).
 */
public final class TestShim extends Cluster {
    /** true where the module rest-root is absent (flavor "min"): then GET / and HEAD / are answered here. */
    static final Setting<Boolean> ROOT = Setting.boolSetting("testshim.root", false, Setting.Property.NodeScope);

    private ClusterService cs;

    @Override
    public Collection<?> createComponents(PluginServices s) {
        cs = s.clusterService();
        return List.of();
    }

    @Override
    public List<Setting<?>> getSettings() {
        return List.of(ROOT, LifecycleSettings.LIFECYCLE_NAME_SETTING, LifecycleSettings.LIFECYCLE_POLL_INTERVAL_SETTING,
            LifecycleSettings.LIFECYCLE_INDEXING_COMPLETE_SETTING, LifecycleSettings.LIFECYCLE_SKIP_SETTING,
            LifecycleSettings.LIFECYCLE_STEP_WAIT_TIME_THRESHOLD_SETTING,
            LifecycleSettings.LIFECYCLE_ROLLOVER_ONLY_IF_HAS_DOCUMENTS_SETTING, RolloverAction.LIFECYCLE_ROLLOVER_ALIAS_SETTING);
    }

    private static NamedXContentRegistry.Entry action(String name, org.elasticsearch.core.CheckedFunction<XContentParser, LifecycleAction, java.io.IOException> f) {
        return new NamedXContentRegistry.Entry(LifecycleAction.class, new ParseField(name), f);
    }

    @Override
    public List<NamedXContentRegistry.Entry> getNamedXContent() {
        return List.of(
            policiesEntry(),
            new NamedXContentRegistry.Entry(LifecycleType.class, new ParseField(TimeseriesLifecycleType.TYPE), (p, c) -> TimeseriesLifecycleType.INSTANCE),
            action(RolloverAction.NAME, RolloverAction::parse), action(DeleteAction.NAME, DeleteAction::parse),
            action(AllocateAction.NAME, AllocateAction::parse), action(ForceMergeAction.NAME, ForceMergeAction::parse),
            action(ReadOnlyAction.NAME, ReadOnlyAction::parse), action(ShrinkAction.NAME, ShrinkAction::parse),
            action(SetPriorityAction.NAME, SetPriorityAction::parse), action(MigrateAction.NAME, MigrateAction::parse),
            action(UnfollowAction.NAME, UnfollowAction::parse), action(WaitForSnapshotAction.NAME, WaitForSnapshotAction::parse),
            action(SearchableSnapshotAction.NAME, SearchableSnapshotAction::parse), action(DownsampleAction.NAME, DownsampleAction::parse));
    }

    interface Body { void to(RestRequest request, NodeClient client, ActionListener<RestResponse> out) throws Exception; }

    private static RestHandler handler(String name, Body body, RestHandler.Route... routes) {
        return new BaseRestHandler() {
            @Override public String getName() { return "testshim_" + name; }
            @Override public List<Route> routes() { return List.of(routes); }
            @Override protected RestChannelConsumer prepareRequest(RestRequest r, NodeClient c) {
                for (String p : List.of("name", "master_timeout", "timeout", "expand_wildcards", "include_defaults", "verbose", "pretty", "human", "error_trace")) { r.param(p); }
                if (r.hasContent()) { r.content(); }   // counts as consumed
                return channel -> {
                    ActionListener<RestResponse> out = ActionListener.wrap(channel::sendResponse, e -> {
                        try { channel.sendResponse(new RestResponse(channel, e)); } catch (Exception x) { throw new RuntimeException(x); }
                    });
                    try { body.to(r, c, out); } catch (Exception e) { out.onFailure(e); }
                };
            }
        };
    }

    private static RestResponse ok(ToXContent x) throws java.io.IOException {
        XContentBuilder b = org.elasticsearch.xcontent.json.JsonXContent.contentBuilder();
        b.startObject(); x.toXContent(b, ToXContent.EMPTY_PARAMS); b.endObject();
        return new RestResponse(RestStatus.OK, b);
    }

    private static RestResponse ack() {
        try { return ok((b, p) -> b.field("acknowledged", true)); } catch (java.io.IOException e) { throw new RuntimeException(e); }
    }

    private static <T> Map<String, T> match(Map<String, T> all, String names, String what) {
        if (names == null || names.isEmpty() || names.equals("_all")) { names = "*"; }
        Map<String, T> out = new TreeMap<>();
        for (String n : names.split(",")) {
            if (n.contains("*")) {
                all.forEach((k, v) -> { if (Regex.simpleMatch(n, k)) { out.put(k, v); } });
            } else if (all.containsKey(n)) {
                out.put(n, all.get(n));
            } else {
                throw new ResourceNotFoundException(what + " [" + n + "] not found");
            }
        }
        return out;
    }

    private void update(String source, Function<ClusterState, ClusterState> f, ActionListener<RestResponse> out) {
        cs.submitUnbatchedStateUpdateTask("testshim " + source, new ClusterStateUpdateTask() {
            @Override public ClusterState execute(ClusterState s) { return f.apply(s); }
            @Override public void onFailure(Exception e) { out.onFailure(e); }
            @Override public void clusterStateProcessed(ClusterState a, ClusterState b) { out.onResponse(ack()); }
        });
    }

    private static ClusterState withPolicies(ClusterState s, Map<String, LifecyclePolicyMetadata> policies) {
        return withLifecycle(s, new IndexLifecycleMetadata(policies, OperationMode.RUNNING));
    }

    private static Map<String, LifecyclePolicyMetadata> policies(ClusterState s) {
        IndexLifecycleMetadata m = lifecycle(s);
        return m == null ? Map.of() : m.getPolicyMetadatas();
    }

    @Override
    List<RestHandler> handlers(Settings settings) {
        List<RestHandler> h = new ArrayList<>();
        RestRequest.Method get = RestRequest.Method.GET, put = RestRequest.Method.PUT, del = RestRequest.Method.DELETE;

        if (ROOT.get(settings)) {
            h.add(handler("root", (r, c, out) -> {
                ClusterState s = cs.state();
                Build v = Build.current();
                out.onResponse(ok((b, p) -> {
                    b.field("name", cs.getNodeName()).field("cluster_name", s.getClusterName().value()).field("cluster_uuid", s.metadata().clusterUUID());
                    b.startObject("version").field("number", v.version()).field("build_flavor", v.flavor()).field("build_type", v.type().displayName())
                        .field("build_hash", v.hash()).field("build_date", v.date()).field("build_snapshot", v.isSnapshot())
                        .field("lucene_version", org.apache.lucene.util.Version.LATEST.toString())
                        .field("minimum_wire_compatibility_version", v.minWireCompatVersion()).field("minimum_index_compatibility_version", v.minIndexCompatVersion()).endObject();
                    return b.field("tagline", "You Know, for Search");
                }));
            }, new RestHandler.Route(get, "/"), new RestHandler.Route(RestRequest.Method.HEAD, "/")));
        }

        h.add(handler("ds_get", (r, c, out) -> {
            ClusterState s = cs.state();
            Map<String, DataStream> m = match(dataStreams(s), r.param("name"), "data stream");
            out.onResponse(ok((b, p) -> {
                b.startArray("data_streams");
                for (DataStream d : m.values()) {
                    b.startObject();
                    b.field("name", d.getName());
                    b.startObject("timestamp_field").field("name", "@timestamp").endObject();
                    b.startArray("indices");
                    for (Index i : d.getIndices()) { b.startObject().field("index_name", i.getName()).field("index_uuid", i.getUUID()).endObject(); }
                    b.endArray();
                    b.field("generation", d.getGeneration());
                    b.field("status", health(s, d));
                    b.field("template", template(s, d.getName()));
                    b.field("hidden", d.isHidden()).field("system", d.isSystem()).field("replicated", d.isReplicated());
                    b.endObject();
                }
                return b.endArray();
            }));
        }, new RestHandler.Route(get, "/_data_stream"), new RestHandler.Route(get, "/_data_stream/{name}")));

        h.add(handler("ds_put", (r, c, out) -> {
            String name = r.param("name");
            ClusterState s = cs.state();
            if (exists(s, name)) {
                throw new IllegalArgumentException("data_stream [" + name + "] already exists");
            }
            String t = template(s, name);
            if (t == null || !makesDataStreams(s, t)) {
                throw new IllegalArgumentException("no matching index template found for data stream [" + name + "]");
            }
            c.execute(AutoCreateAction.INSTANCE, new CreateIndexRequest(name), out.map(x -> ack()));
        }, new RestHandler.Route(put, "/_data_stream/{name}")));

        h.add(handler("ds_delete", (r, c, out) -> {
            String names = r.param("name");
            update("delete data stream", s -> {
                Map<String, DataStream> m = match(dataStreams(s), names, "data stream");
                return m.isEmpty() ? s : without(s, m, settings);
            }, out);
        }, new RestHandler.Route(del, "/_data_stream/{name}")));

        h.add(handler("ilm_put", (r, c, out) -> {
            String name = r.param("name");
            LifecyclePolicy policy;
            try (XContentParser p = r.contentParser()) {
                policy = org.elasticsearch.xpack.core.ilm.action.PutLifecycleRequest.parseRequest(new org.elasticsearch.xpack.core.ilm.action.PutLifecycleRequest.Factory() {
                    @Override public org.elasticsearch.xpack.core.ilm.action.PutLifecycleRequest create(LifecyclePolicy x) {
                        return new org.elasticsearch.xpack.core.ilm.action.PutLifecycleRequest(org.elasticsearch.core.TimeValue.timeValueSeconds(30), org.elasticsearch.core.TimeValue.timeValueSeconds(30), x);
                    }
                    @Override public String getPolicyName() { return name; }
                }, p).getPolicy();
            }
            policy.validate();
            update("put lifecycle " + name, s -> {
                Map<String, LifecyclePolicyMetadata> m = new TreeMap<>(policies(s));
                LifecyclePolicyMetadata old = m.get(name);
                m.put(name, new LifecyclePolicyMetadata(policy, Map.of(), old == null ? 1 : old.getVersion() + 1, System.currentTimeMillis()));
                return withPolicies(s, m);
            }, out);
        }, new RestHandler.Route(put, "/_ilm/policy/{name}")));

        h.add(handler("ilm_get", (r, c, out) -> {
            Map<String, LifecyclePolicyMetadata> m = match(policies(cs.state()), r.param("name"), "Lifecycle policy");
            out.onResponse(ok((b, p) -> {
                for (LifecyclePolicyMetadata x : m.values()) {
                    b.startObject(x.getName()).field("version", x.getVersion()).field("modified_date", x.getModifiedDateString());
                    b.field("policy"); x.getPolicy().toXContent(b, p);
                    b.endObject();
                }
                return b;
            }));
        }, new RestHandler.Route(get, "/_ilm/policy"), new RestHandler.Route(get, "/_ilm/policy/{name}")));

        h.add(handler("ilm_delete", (r, c, out) -> {
            String name = r.param("name");
            update("delete lifecycle " + name, s -> {
                Map<String, LifecyclePolicyMetadata> m = new TreeMap<>(policies(s));
                if (m.remove(name) == null) { throw new ResourceNotFoundException("Lifecycle policy not found: " + name); }
                return withPolicies(s, m);
            }, out);
        }, new RestHandler.Route(del, "/_ilm/policy/{name}")));

        h.add(handler("ilm_status", (r, c, out) -> out.onResponse(ok((b, p) -> b.field("operation_mode", "STOPPED"))),
            new RestHandler.Route(get, "/_ilm/status")));
        return h;
    }
}
