"""More plots: a gift, the truth, something that grows, a toy that travels, a noise in the night. The form is that of plots.py."""

from plots import OPENINGS

GIFT = dict(
    topics=["a gift", "a birthday", "a {gift}", "{n} and a {gift}", "making somebody happy"],
    asks=["Who was the gift for?#It was for {who}.", "What was the gift?#The gift was a {gift}."],
    picks=["who", "occasion", "gift", "adviser"],
    beats=[
        ["{N} loved {who} very much.", "There was nobody {n} liked more than {who}.", "{N} and {who} were always together."],
        ["\n"],
        ["{Occasion}, and {n} felt {mood}.", "{Occasion}. {N} felt {mood}.", "{Occasion}, and {n} thought about it all day."],
        ["\"I [want to|will] give {my_who} something [nice|special],\" {he} [thought|said].", "\"What can I give {my_who}?\" {he} [thought|asked]."],
        ["But {n} had no money at all.", "{He} looked in {his} pocket and found only [a button|a stone|a piece of string].", "But the things in the shop cost too much."],
        ["\n"],
        ["{When} {n} met a {adviser}. \"Why do you look so lost?\" asked the {adviser}.", "{When} {n} [sat down|stopped] to think. A {adviser} came by and asked, \"What is wrong?\""],
        ["\"I need a gift for {my_who},\" said {n}.", "\"I have no gift for {my_who},\" said {n}."],
        ["\"The best gifts [come from the heart|cannot be bought],\" said the {adviser}.", "\"Then make a gift[| yourself],\" said the {adviser}."],
        ["{N} [ran home|went home] and {making}.", "So {n} {making}. It took [all day|a long time|until evening].", "At once, {n} had an idea. {He} {making}."],
        ["\n"],
        ["The next [morning|day], {n} held the {gift} behind {his} back. \"Close your eyes,\" {he} said.", "The next [morning|day], {n} went to {who}. \"This is for you,\" {he} said."],
        ["{Who} [smiled|could not believe it|had tears of joy]. \"[Did you make this|Is this for me]?\"", "\"How [beautiful|lovely]!\" said {who}. \"[I love it|You made this for me]!\""],
        ["\"Yes,\" said {n}. \"[I made it|It is] [all |]for you.\"", "{N} nodded and [smiled|could not stop smiling]."],
        ["{Who} {kept}.", "From then on, {who} {kept}."],
        ["{N} learned that the best gifts are made with love.", "{N} was [happier|even happier] than {who}.", "It was the [best|happiest] day of the [year|whole year].",
         "{N} learned that to give is as nice as to get."],
    ])

TRUTH = dict(
    topics=["telling the truth", "a broken {broken}", "{n} and a broken {broken}", "saying sorry"],
    asks=["What did {n} break?#{He} broke a {broken}.", "What did {n} learn?#{He} learned to tell the truth."],
    picks=["break", "peer"],
    beats=[
        ["{N} was a good {kind}, but [sometimes |]{he} did not think first.", "{His} {parent} often said, \"Be careful, {n}!\"", "Most of the time, {n} was careful."],
        ["\n"],
        ["{When} {n} was [playing|at home] with {c}. {N} {cause}.", "{When} {n} [played|had fun] with {c} and {cause}."],
        ["[Crash|Bang]! The {broken} broke into [two|many|a hundred] pieces.", "There was a loud [crash|bang]. The {broken} was broken.", "Then there was a [crash|bang], and the {broken} lay in pieces."],
        ["\n"],
        ["\"Oh no!\" [cried|whispered] {n}. \"[What now|What shall we do]?\"",
         "{N} [turned pale|stood very still|felt sick]. \"[What now|What shall we do]?\""],
        ["First {he} wanted to hide the pieces {hide}.", "{He} thought, \"I could hide the pieces {hide}.\"", "\"We could hide it {hide},\" {he} said."],
        ["\"[No|Wait],\" said {c}. \"[You should|Let us] tell the truth.\"", "But {c} shook {chis} head. \"That would be a lie,\" said {c}.", "\"I will go with you and we will tell the truth,\" said {c}."],
        ["{N} knew that {c} was right.", "{N} [thought about it|was quiet for a while]. {C} was right.", "It was hard, but {n} [agreed|nodded]."],
        ["\n"],
        ["{N} went to {his} {parent}. \"I broke the {broken},\" {he} said. \"I am [so |very |]sorry.\"", "\"I [have to|must] tell you something,\" {n} said to {his} {parent}. \"I broke the {broken}.\""],
        ["{His} {parent} [was quiet for a moment|looked at the pieces|took a deep breath]. \"[Thank you for telling me|I am glad that you told me the truth],\" {parent_he} said.",
         "\"I am [a little sad|not happy] about the {broken},\" said {his} {parent}, \"but I am proud that you told [me|the truth].\""],
        ["[Together, they|The three of them] {mend}.", "Then {n} and {his} {parent} {mend}."],
        ["\n"],
        ["{N} felt [much better|light as a feather|happy again].", "It was as if a stone fell from {n}'s heart."],
        ["{N} learned that the truth is always best.", "From that day on, {n} always told the truth.", "After that, {n} thought before {he} [played|ran].",
         "And {n} never forgot how good it felt to tell the truth."],
    ])

GROW = dict(
    topics=["a {seed}", "a {plant}", "{n} and a {plant}", "waiting", "a garden"],
    asks=["What did {n} plant?#{He} planted a {seed}.", "What did the seed become?#It became a {plant}."],
    picks=["grow", "companion"],
    beats=[
        ["{N} [loved|liked] [plants|the garden|flowers and trees].", "{N} had a small garden.", "{N} did not like to wait.", ""],
        ["\n"],
        ["{When} {n} found a {seed} [in {his} pocket|under a leaf|on the path|in an old box]. \"What is this?\" {he} asked {c}.", "{When} {c} gave {n} a {seed}. \"What [is it|will it be]?\" asked {n}."],
        ["\"[Plant it and see|Put it in the ground and wait|It is a surprise],\" said {c}.", "\"It will grow if you take care of it,\" said {c}."],
        ["{N} dug a [small |little |]hole[ in the garden|], put the {seed} in, and gave it some water.", "So {n} put the {seed} into the [soft|dark] [ground|earth] and watered it."],
        ["\n"],
        ["The next day, {n} ran to look. There was nothing. The day after, there was still nothing.", "One day passed, then [two|three|four]. Nothing happened.", "Every [morning|day], {n} went to look. There was only [brown|dark] earth."],
        ["\"It [does not work|is not growing]!\" [cried|said] {n}. \"I will dig it up.\"", "\"Why does it take so long?\" {n} asked.", "\"I do not want to wait [anymore|any longer],\" said {n}."],
        ["\"[Be patient|Wait a little],\" said {c}. \"Good things take time.\"", "\"[A seed|It] needs sun, water and time,\" said {c}.", "{C} [laughed|smiled]. \"It is sleeping. Let it wake up slowly.\""],
        ["So {n} waited. {He} [watered the seed|gave it water] every day and [sang to it|told it stories|kept the birds away].", "{N} [tried to be patient|waited and waited]. {He} [watered the seed|gave it water] every day."],
        ["\n"],
        ["Then, one morning, there was a [small|tiny] green leaf! \"[Look|Come and see], {cv}!\" [cried|shouted] {n}.", "After a week, something green came out of the ground. \"It is alive!\" [cried|shouted] {n}."],
        ["It grew and grew until it was a [big|fine|beautiful] {plant}.", "Day by day it grew taller. It was a {plant}!", "By the end of summer, it had become a [big|fine|beautiful] {plant}."],
        ["{N} and {c} {harvest}.", "In the end, they {harvest}."],
        ["{N} learned that good things take time.", "{N} had learned to wait.", "Next year, {n} wanted to plant [two|ten|a hundred] seeds.", "\"It was worth the wait,\" said {n}."],
    ])

TRAVEL = dict(
    openings=[(opening, "") for opening in (
        "The little {color} {toy} [stood|lived] {stand}.", "Once upon a time, there was a little {color} {toy} that [stood|lived] {stand}.",
        "A little {color} {toy} [stood|lived] {stand}.", "There was once a {color} {toy} that [stood|lived] {stand}.",
        "In a [quiet house|small town], a {color} {toy} [stood|lived] {stand}.")],
    topics=["a {color} {toy}", "a little {toy}", "a {toy} that wanted to {dream}", "a {toy}", "a {toy} and a {meet}", "coming home"],
    asks=["What did the {toy} want?#It wanted to {dream}.", "Who helped the {toy}?#A {meet} helped the {toy}."],
    picks=["color", "travel"],
    beats=[
        ["It belonged to a {kind} named {n}.", "A {kind} named {n} played with it [every day|after school]."],
        ["The {toy} had a dream: it wanted to {dream}.", "But the {toy} wanted to {dream}.", "Every night, the {toy} dreamed of one thing. It wanted to {dream}."],
        ["\n"],
        ["One [night|day|morning], {away}.", "Then, one [night|day|morning], {away}."],
        ["\"[Hooray|At last]!\" [thought|cried] the {toy}. \"Now I can {dream}!\"", "\"I am free!\" [thought|cried] the {toy}. \"The world is so big!\""],
        ["At first it was [fun|wonderful|exciting]. But then it [got dark|became cold|began to rain], and the {toy} felt [lonely|lost|small].", "The {toy} went on and on, until it did not know where it was."],
        ["\n"],
        ["A {meet} found it. \"[Who are you|Why are you sad|Are you lost]?\" asked the {meet}.", "Then a {meet} came by. \"[Who are you|Why are you sad|Are you lost], little {toy}?\""],
        ["\"I wanted to {dream},\" said the {toy}, \"but now I [miss|want to go back to] {n}.\"", "\"I miss {n},\" said the {toy}. \"I want to go home.\""],
        ["\"[Do not worry|Do not be afraid],\" said the {meet}. \"I [know the way|will help you].\"", "\"I [know|have seen] {n},\" said the {meet}. \"{He} is looking for you everywhere.\""],
        ["[So the|The kind|And the] {meet} {home}.", "The {meet} kept its word and {home}."],
        ["\n"],
        ["When {n} saw the {toy}, {he} [shouted with joy|jumped for joy|could not believe it]. \"[There you are|You are back|I missed you so much]!\"", "\"My {toy}!\" cried {n}. \"[There you are|You are back|I missed you so much]!\""],
        ["From then on, the {toy} was happy {stand}.", "The {toy} had seen the world, but home was best of all.", "That night, the {toy} told the other toys about its [long |big |]trip.",
         "From then on, the {toy} stayed at home, and sometimes the {meet} came to visit."],
    ])

NOISE = dict(
    openings=OPENINGS[:-2],  # without those that have begun a day
    topics=["a strange noise", "a noise in the night", "{n} and a strange noise", "{monster}", "a dark night"],
    asks=["What was the noise?#It was {truth}.", "What did {n} think it was?#{He} thought it was {monster}."],
    picks=["noise", "peer", "monster"],
    beats=[
        ["{N} [liked|loved] [stories about|to hear about] [brave heroes|faraway lands|secret doors].", "{N} had a warm bed and a soft pillow.", "{N} [often|always] looked at the [moon|stars] before {he} went to sleep.", ""],
        ["\n"],
        ["One {night} night, {n} could not sleep. {C} was [there for the night|asleep in the next bed].", "One {night} night, {n} lay in bed. {C} was [there for the night|asleep in the next bed]."],
        ["[Then|Suddenly], there was a noise: {noise}! It came from {room}.", "{Noise}! [Something|A noise] came from {room}.", "From {room} came a strange noise. {Noise}!"],
        ["\"[Wake up|Listen], {cv}! [What is that|Do you hear it]?\" whispered {n}.", "{N} woke {c} up. \"[What is that|Do you hear it]?\" {he} whispered.", "{N} pulled the blanket over {his} head. \"{Cv}, are you awake?\""],
        ["\"It [is|must be] {monster}!\" said {n}.", "\"I think it is {monster},\" said {n}.", "\"What if it is {monster}?\" asked {n}."],
        ["\n"],
        ["\"[Let us|We should] go and look,\" said {c}. {C} took a [lamp|candle].", "\"There is only one way to find out,\" said {c} and took a [lamp|candle].", "{C} was not afraid. \"Come with me, {n},\" said {c}."],
        ["[Very slowly|On the tips of their toes|Step by step], they went to {room}.", "They held hands and went to {room}. {Noise}!", "It was dark, and the floor was cold. {Noise}, it went again."],
        ["{N}'s heart beat fast.", "{N} held {his} breath.", "\"I am scared,\" said {n}. \"I am here,\" said {c}.", ""],
        ["\n"],
        ["They looked closely, and what did they see? It was {truth}!", "[Then they saw it|And there it was]. It was {truth}!", "{C} held up the light. It was only {truth}!"],
        ["{N} [laughed|had to laugh]. \"That is not {monster} at all!\"", "\"So much for {monster}!\" said {c}, and they both laughed.", "They laughed until [their bellies hurt|they had to sit down]."],
        ["They {friendly} and went back to bed.", "{N} {friendly}. Then they went back to sleep."],
        ["{N} learned that most scary things are not scary when you look at them.", "[Soon|A moment later], {n} was fast asleep.", "After that, {n} was never afraid of noises again.",
         "\"Good night, {cv},\" said {n}, and closed {his} eyes."],
    ])
