import java.util.function.UnaryOperator;

import org.opensearch.client.node.NodeClient;
import org.opensearch.common.util.concurrent.ThreadContext;
import org.opensearch.plugins.ActionPlugin;
import org.opensearch.plugins.Plugin;
import org.opensearch.rest.RestChannel;
import org.opensearch.rest.RestHandler;
import org.opensearch.rest.RestRequest;

/** Answers every request with the product header that go-elasticsearch v8 looks for (only with OS_ES_HEADER set). */
public class ProductHeader extends Plugin implements ActionPlugin {
    @Override
    public UnaryOperator<RestHandler> getRestHandlerWrapper(ThreadContext ctx) {
        return h -> new RestHandler.Wrapper(h) {
            @Override
            public void handleRequest(RestRequest r, RestChannel c, NodeClient n) throws Exception {
                ctx.addResponseHeader("X-Elastic-Product", "Elasticsearch");
                h.handleRequest(r, c, n);
            }
        };
    }
}
