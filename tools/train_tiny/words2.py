"""More tables of the grammar, for the plots about making, giving, telling the truth, growing, travelling toys and noises."""

from words import rows

# Things to make: of what, where, why the first one fails, what the maker changes, how it turns out.
MAKES = rows("make weather parts fail better result", """
kite        ; windy  ; paper, sticks and string   ; the paper tore in the wind          ; used thicker paper        ; the kite flew high above the trees
cake        ; rainy  ; flour, eggs and sugar      ; the cake was burned and black       ; watched the oven all the time ; the cake was soft and sweet
boat        ; warm   ; wood, glue and cloth       ; the boat filled with water and sank ; closed all the holes      ; the boat sailed across the pond
snowman     ; snowy  ; snow, two buttons and a carrot ; the head was too big and rolled off ; made the head smaller ; the snowman stood tall and smiled
bird house  ; sunny  ; boards, nails and paint    ; the roof fell off                   ; used longer nails         ; a blue bird moved in
soup        ; cold   ; carrots, beans and water   ; the soup was much too salty         ; put in less salt          ; the soup was warm and good
sand castle ; sunny  ; sand, water and shells     ; a wave washed it away               ; built it far from the water ; the castle stood until evening
tower       ; cloudy ; blocks, boards and boxes   ; the tower leaned and fell down      ; put the biggest blocks below ; the tower reached the roof
swing       ; warm   ; a rope and an old board    ; the rope broke                      ; took a thicker rope       ; the swing went up and down all day
tree house  ; bright ; boards, ropes and nails    ; the floor was not strong enough     ; put in more boards        ; there was room for two in the tree house
raft        ; sunny  ; logs, rope and a flag      ; the knots came open                 ; tied every knot twice     ; the raft floated down the stream
""")

# Gifts: what is given, how it is made, where it is kept afterwards.
GIFTS = rows("gift making kept", """
picture          ; painted a picture of {home_thing}           ; hung the picture on the wall
box of cookies   ; baked cookies in the shape of [stars|hearts] ; ate the cookies with a cup of tea
bunch of flowers ; picked flowers in every color               ; put the flowers by the window
necklace         ; made a necklace of [shells|acorns]          ; wore the necklace every day
painted stone    ; painted a round stone with [red|blue] dots  ; kept the stone beside the bed
card             ; made a card with a big heart                ; put the card on the shelf
scarf            ; made a scarf out of soft wool               ; wore the scarf all winter
paper lantern    ; made a lantern out of paper                 ; lit the lantern every night
""")
HOME_THINGS = ["the sea", "the moon", "the two of them", "a big tree", "a rainbow"]
OCCASIONS = rows("occasion mood", """
{Who} had a birthday the next day            ; excited
{Who} had been sick in bed for a week        ; worried
{Who} was sad because [an old friend had moved away|it had rained all week] ; sorry
{Who} had worked hard all [summer|winter|week]     ; thankful
""")

# What breaks, by what, what would hide it, and how it is mended.
BREAKS = rows("broken cause hide mend", """
vase    ; threw a ball inside the house      ; under the rug      ; glued the vase together, piece by piece
cup     ; danced too close to the table      ; behind the books   ; painted a new cup with blue dots
lamp    ; jumped on the bed like a frog      ; in the closet      ; put the lamp back together with wire
plate   ; ran through the kitchen            ; under the sink     ; swept up the bits and bought a new plate
clock   ; climbed up on the shelf            ; under the bed      ; put the clock together until it ticked again
mirror  ; danced with a broom                ; in the attic       ; put new glass in the mirror
bowl    ; carried far too many things        ; in the shed        ; glued the bowl together and painted it
flower pot ; swung a stick like a sword      ; behind the stairs  ; put the flower into a new pot
""")

# What grows, and what becomes of it.
GROWS = rows("seed plant harvest", """
round seed    ; pumpkin     ; made a big pot of pumpkin soup
striped seed  ; sunflower   ; gave the seeds to the birds
little bean   ; bean plant  ; cooked the beans for dinner
brown seed    ; apple tree  ; baked an apple pie
tiny seed     ; carrot      ; had crisp carrots for lunch
black seed    ; melon       ; ate sweet melon in the shade
red seed      ; rose bush   ; put a rose in every window
""")

# Toys that travel: the toy, where it stands, what it dreams of, how it gets away, whom it meets, how it comes home.
TRAVELS = rows("toy stand dream away meet home", """
boat     ; by the bath          ; sail on the wide sea      ; rain filled the street and carried the boat away       ; seagull   ; pushed the boat back up the stream
train    ; on a shelf           ; see the mountains         ; somebody left the door open, and the train rolled out  ; goat      ; pulled the train home with a rope
kite     ; in a dark box        ; fly above the clouds      ; a strong wind carried the kite out of the window       ; swallow   ; took the string and led the kite home
balloon  ; beside the bed       ; touch the moon            ; the string came loose, and the balloon flew up         ; owl       ; took the string and flew the balloon home
car      ; under a chair        ; drive down a long road    ; the car rolled down the steps and into the lane        ; dog       ; carried the car home without a scratch
robot    ; on the window sill   ; see the world             ; the robot climbed down and walked out of the gate      ; fox       ; showed the robot the way back
doll     ; in a toy box         ; dance at a ball           ; the doll fell into a basket that went to the market    ; cat       ; carried the doll back in the evening
teddy bear ; on a pillow        ; meet a real bear          ; the teddy bear rode away on a cart full of hay         ; rabbit    ; hopped home with the teddy bear
rocket   ; on a high shelf      ; fly to the stars          ; a loud bang sent the rocket over the roof              ; crow      ; carried the rocket back over the roofs
lantern  ; above the door       ; light up the whole night  ; a storm blew the lantern down the hill                 ; hedgehog  ; rolled the lantern back up the hill
""")

# Noises in the night: how they sound, where from, what is imagined, what it was.
NOISES = rows("noise room truth friendly", """
tap, tap, tap      ; the window     ; a branch that moved in the wind       ; tied the branch back
scratch, scratch   ; the attic      ; a cat that played with a string       ; took the cat downstairs
squeak, squeak     ; the kitchen    ; a mouse with a bit of cheese          ; gave the mouse some more cheese
bump, bump         ; the stairs     ; a ball that rolled down the steps     ; put the ball back in its box
hoo, hoo           ; the roof       ; an owl who sang to the moon           ; said good night to the owl
drip, drip         ; the sink       ; water that fell into a cup            ; closed the tap
creak, creak       ; the door       ; the old door that moved in the wind   ; shut the door
snort, snort       ; the shed       ; a pig who had lost its way            ; took the pig back to its pen
""")
MONSTERS = ["a monster", "a ghost", "a giant", "a thief", "a wild wolf"]
