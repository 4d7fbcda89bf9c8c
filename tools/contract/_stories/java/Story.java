import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import kassa.ApiClient;
import kassa.ApiException;
import kassa.JSON;
import kassa.api.PeopleApi;
import kassa.api.PredictionsApi;
import kassa.model.Adjustment;
import kassa.model.Move;
import kassa.model.NewAccount;
import kassa.model.Problem;
import kassa.model.Question;

/** The story with the client that openapi-generator made. */
public class Story {
  static final String EMAIL = "ada@example.org";

  public static void main(String[] args) throws Exception {
    var credentials = Base64.getEncoder().encodeToString((EMAIL + ":" + args[1]).getBytes(StandardCharsets.UTF_8));
    var guest = new ApiClient();
    guest.updateBaseUri(args[0]);
    var ada = new ApiClient();
    ada.updateBaseUri(args[0]);
    ada.setRequestInterceptor(request -> request.header("Authorization", "Basic " + credentials));
    var people = new PeopleApi(ada);

    var up = new PeopleApi(guest).signUp(new NewAccount().email(EMAIL).password(args[1]), "key-1");
    check(up.getBalance() == 10, up);

    var paid = people.adjust(move(30), "key-2");
    check(paid.getBalance() == 40, paid);
    var again = people.adjustWithHttpInfo(move(30), "key-2");
    check(again.getData().getPosition().equals(paid.getPosition()), again);
    check(again.getHeaders().toString().contains("idempotent-replayed=[true]"), again.getHeaders());

    var question = new Question().text("a robbery inside a dream").limit(2);
    var asked = new PredictionsApi(ada).predict(question, "key-3", "wait=30");
    check(asked.getStatus().equals("completed") && asked.getMovies().size() == 2, asked);
    var ended = asked.getEndPosition();
    check(people.balance(ended, null).getBalance() == 35, "balance");

    var page = people.transactions(null, 2, null, null, null, ended, null);
    var rest = people.transactions(page.getNextCursor(), 2, null, null, null, ended, null);
    var amounts = new ArrayList<Long>();
    page.getItems().forEach(line -> amounts.add(line.getAmount()));
    rest.getItems().forEach(line -> amounts.add(line.getAmount()));
    check(amounts.equals(List.of(-5L, 30L, 10L)), amounts);

    check(people.adjust(move(-12), "key-4").getBalance() == 23, "withdrawal");
    try {
      check(false, people.adjust(move(-1000), "key-5"));
    } catch (ApiException refused) { // whose body is text
      var problem = JSON.getDefault().getMapper().readValue(refused.getResponseBody(), Problem.class);
      check(refused.getCode() == 402 && problem.getCode().equals("insufficient_funds"), refused);
    }
  }

  static Adjustment move(long amount) {
    return new Adjustment(new Move().amount(amount));
  }

  static void check(boolean holds, Object what) {
    if (!holds) {
      throw new IllegalStateException(what.toString());
    }
  }
}
