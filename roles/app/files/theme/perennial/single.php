<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One post or page with its comments.
 */

defined( 'ABSPATH' ) || exit;

get_header();
while ( have_posts() ) :
	the_post();
	?>
	<article <?php post_class( 'entry' ); ?>>
		<header class="page-head">
			<h1><?php the_title(); ?></h1>
			<?php
			if ( ! is_page() ) {
				Perennial\Theme\meta();
			}
			?>
		</header>
		<?php the_post_thumbnail( 'large', Perennial\Theme\LEAD_IMAGE ); ?>
		<div class="entry-content">
			<?php
			the_content();
			wp_link_pages();
			?>
		</div>
		<?php if ( has_category() || has_tag() ) : ?>
			<ul class="terms">
				<?php the_terms( get_the_ID(), 'category', '<li>', '</li><li>', '</li>' ); ?>
				<?php the_terms( get_the_ID(), 'post_tag', '<li>', '</li><li>', '</li>' ); ?>
			</ul>
		<?php endif; ?>
	</article>
	<?php
	if ( comments_open() || get_comments_number() ) {
		comments_template();
	}
endwhile;
get_footer();
