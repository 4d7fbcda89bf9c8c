import java.nio.charset.StandardCharsets;
import java.util.Base64;
import kassa.ApiClient;
import kassa.ApiException;
import kassa.api.PeopleApi;
import kassa.api.PredictionsApi;
import kassa.model.Adjustment;
import kassa.model.Move;
import kassa.model.NewAccount;
import kassa.model.Question;

/** The story with the client that openapi-generator made. */
public class Story {
  public static void main(String[] args) throws ApiException {
    var credentials = Base64.getEncoder().encodeToString((args[1] + ":" + args[2]).getBytes(StandardCharsets.UTF_8));
    var guest = new ApiClient();
    guest.updateBaseUri(args[0]);
    var ada = new ApiClient();
    ada.updateBaseUri(args[0]);
    ada.setRequestInterceptor(request -> request.header("Authorization", "Basic " + credentials));
    var people = new PeopleApi(ada);

    var up = new PeopleApi(guest).signUp(new NewAccount().email(args[1]).password(args[2]), "java-1");
    check(up.getBalance() == 10, up);
    var paid = people.adjust(new Adjustment(new Move().amount(30L)), "java-2");
    check(paid.getBalance() == 40, paid);
    var asked = new PredictionsApi(ada).predict(new Question().text("a robbery inside a dream").limit(2), "java-3", "wait=30");
    check(asked.getStatus().equals("completed") && asked.getMovies().size() == 2, asked);
    var lines = people.transactions(null, null, null, asked.getEndPosition());
    check(lines.getItems().size() == 3 && lines.getItems().get(0).getAmount() == -5, lines);
    try {
      check(false, people.adjust(new Adjustment(new Move().amount(-1000L)), null));
    } catch (ApiException refused) {
      check(refused.getCode() == 402 && refused.getResponseBody().contains("\"insufficient_funds\""), refused);
    }
  }

  static void check(boolean holds, Object what) {
    if (!holds) {
      throw new IllegalStateException(what.toString());
    }
  }
}
