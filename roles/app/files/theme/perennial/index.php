<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Lists of posts: home, archives and search results share it.
 */

defined( 'ABSPATH' ) || exit;

get_header();
get_template_part( 'parts/heading' );
if ( have_posts() ) :
	?>
	<div class="cards">
		<?php
		while ( have_posts() ) :
			the_post();
			get_template_part( 'parts/card' );
		endwhile;
		?>
	</div>
	<?php
	the_posts_pagination(
		array(
			'prev_text' => __( 'Newer', 'perennial' ),
			'next_text' => __( 'Older', 'perennial' ),
		)
	);
else :
	get_template_part( 'parts/nothing' );
endif;
get_footer();
